"""A command line that is refused says the one that was meant."""

import shlex
from pathlib import Path

import pytest
from house import House, kd

MEANT = {
    # recipe keys
    "distill --teacher a --student b --temperature 4": "kd distill --teacher a --student b "
    "--set methods.kd.temperature=4",
    "distill --teacher a --student b --T 4": "kd distill --teacher a --student b "
    "--set methods.kd.temperature=4",
    "distill --recipe dkd --T 9": "kd distill --recipe dkd --set methods.dkd.temperature=9",
    "train a --epochs 10": "kd train a --set train.epochs=10",
    "train a --lr=0.1": "kd train a --set train.lr=0.1",
    "train a --batch-size 8 --n_epochs 3": "kd train a --set train.batch_size=8 "
    "--set train.epochs=3",
    "train a --no-pretrained": "kd train a --set student.pretrained=false",
    "train a --set train.epochs 3": "kd train a --set train.epochs=3",
    "train a --set train.epochs = 3 --seed 1": "kd train a --set train.epochs=3 --seed 1",
    # other names of flags
    "distill -t a -s b -d photos -o x": "kd distill --teacher a --student b --data photos --out x",
    "distill --teacher a --student b --method at": "kd distill --teacher a --student b --recipe at",
    "train a --output x": "kd train a --out x",
    "train a --out-dir x": "kd train a --out x",
    "train a --dataset photos": "kd train a --data photos",
    "train a --threads 4": "KD_THREADS=4 in the environment",
    "train a --gpu 1": "kd train a --device cuda:1",
    "train a --cpu": "kd train a --device cpu",
    "train a --force": "kd train a --again",
    "train a --dry_run": "kd train a --dry-run",
    "train --model a --data photos": "kd train a --data photos",
    "predict --model a.onnx --image b.png": "kd predict a.onnx b.png",
    "evaluate --checkpoint runs/a": "kd evaluate runs/a",
    "export --quantize": "kd export --int8",
    # things that are no flags
    "train a --workers 4": "KD_WORKERS=4 in the environment",
    "train a --resume": "the same command again goes on",
    "evaluate --teacher a": "--teacher is an option of kd distill",
    # order
    "--data photos distill --teacher a": "kd distill --teacher a --data photos",
    "--seed 3 train a": "kd train a --seed 3",
    "--teacher a --student b": "kd distill --teacher a --student b",
    "distill resnet101 mobilenetv3": "kd distill --teacher resnet101 --student mobilenetv3",
    "distill a --student b --seed 3": "kd distill --teacher a --student b --seed 3",
    "distill digits --teacher a --student b": "kd distill --data digits --teacher a --student b",
    "train a digits": "kd train a --data digits",
    "evaluate runs/a runs/b": "one at a time: kd evaluate runs/a",
    "kd train a": "kd train a",
    # commands
    "compress": "kd distill",
    "test runs/a": "kd evaluate runs/a",
    "eval": "kd evaluate",
    "convert runs/a": "kd export runs/a",
    "quantize": "kd export --int8",
    "infer a.onnx b.png": "kd predict a.onnx b.png",
    "help": "kd --help",
    "help train": "kd train --help",
    "version": "kd --version",
    "-V": "kd --version",
    "models": "kd list models",
    "runs": "kd list runs",
    "recipes": "kd list recipes",
    "prune": "kd list runs --prune",
    "check mine.yaml": "kd recipe check mine.yaml",
    "recipe list": "kd list recipes",
    "list teachers": "kd list models",
    "list datasets": "--data takes a folder",
    # devices
    "train a --device gpu": "did you mean 'cuda'?",
    "train a --device GPU:1": "did you mean 'cuda:1'?",
    "train a --device 0": "did you mean 'cuda'?",
    "train a --device metal": "did you mean 'mps'?",
    # nothing near
    "train a --frobnicate 3": "kd train --help",
    "frobnicate": "kd --help",
}
"""What was typed, and what is said: as a rule a line that can be typed."""


@pytest.mark.parametrize(("line", "said"), MEANT.items(), ids=MEANT.keys())
def test_the_way_out_is_a_line_to_type(
    line: str, said: str, empty_house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if "--device" in line:
        line = line.replace("train a", "train test_resnet")
    answer = kd(*shlex.split(line))
    assert answer.code == 2
    assert "Traceback" not in answer.err
    exact = said.startswith("kd ") and "--help" not in said
    told = [one.strip() for one in answer.err.splitlines()]
    assert said in (told if exact else answer.err), answer.err


@pytest.mark.parametrize("line", ["-h", "train -h", "list runs -h"])
def test_help_in_short(line: str) -> None:
    answer = kd(*line.split())
    assert answer.code == 0
    assert "Usage: kd" in answer.out
