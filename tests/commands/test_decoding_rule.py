"""The rule by which a data set's images are decoded goes along: run, model.pt, exported files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import timm
from house import STUDENT, TEACHER, House, kd_ok
from PIL import Image

from kdcli.data.decoding import Decoding
from kdcli.models.checkpoint import load_model
from kdcli.runs.run import Run

BLACK = Decoding(0)


def shapes(folder: Path, colour: int = 255) -> Path:
    """Upright and lying bars, white, in front of nothing."""
    for i in range(40):
        alpha = np.zeros((16, 16), np.uint8)
        alpha[(slice(None), slice(3 + i // 4, 6 + i // 4))[:: 1 - 2 * (i % 2)]] = 255
        image = np.dstack([np.full((16, 16, 3), colour, np.uint8), alpha])
        (folder / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "ab"[i % 2] / f"{i:02}.png")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on white shapes."""
    place = tmp_path_factory.mktemp("shapes")
    line = ("train", STUDENT, "--data", shapes(place / "bars"), "--out", place / "run")
    said = kd_ok(*line, "--set", "train.epochs=1", "--set", "data.image_size=32").err
    assert "put on black, as 28 of them would show nothing on white" in said
    return place


def known(file: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(file).metadata_props}


@pytest.mark.slow
def test_it_is_kept_and_followed(trained: Path) -> None:
    run = trained / "run"
    assert Run(run).spec.data.identity["decoding"] == BLACK.as_dict()
    assert load_model(run / "model.pt").provenance["decoding"] == BLACK.as_dict()
    assert "transparency is put on black" in kd_ok("inspect", run).out
    kd_ok("export", run)
    told = known(run / "export" / "model.onnx")
    assert Decoding.from_texts(told) == BLACK
    assert "transparency is put on black" in (run / "export" / "README.md").read_text("utf-8")
    clear = trained / "bars" / "a" / "00.png"
    opaque = trained / "opaque.png"
    shape = Image.open(clear)
    Image.alpha_composite(Image.new("RGBA", shape.size, "black"), shape).save(opaque)
    answers = kd_ok("predict", run, clear, opaque, "--json").document["predictions"]
    assert answers[0]["top"] == answers[1]["top"]


@pytest.mark.slow
def test_packages_say_it(trained: Path) -> None:
    kd_ok("export", trained / "run", "--format", "timm")
    kd_ok("export", trained / "run", "--format", "torch")
    config: Any = json.loads((trained / "run" / "timm" / "config.json").read_text("utf-8"))
    assert config["kd"]["decoding"] == BLACK.as_dict()
    assert "put on black" in (trained / "run" / "timm" / "README.md").read_text("utf-8")
    assert timm.create_model(f"local-dir:{trained / 'run' / 'timm'}", pretrained=True)


def test_a_teacher_of_another_rule_is_told_of(
    trained: Path, tmp_path: Path, empty_house: House
) -> None:
    dark = shapes(tmp_path / "dark", colour=0)
    line = ("distill", "--teacher", trained / "run", "--student", TEACHER, "--data", dark)
    said = kd_ok(*line, "--set", "teacher.allow_weak=true", "--set", "train.epochs=1").err
    assert "its images were decoded by another rule (transparency is put on black)" in said
