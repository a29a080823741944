"""`train.compile`: a training whose models are compiled, or cannot be."""

import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from house import House, kd, kd_ok, on_pictures, same_weights, then_stop, weights_of

from kdcli.runs.run import Run
from kdcli.training import loop


@pytest.mark.slow
def test_a_compiled_training_is_the_same_but_for_rounding(
    small: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced = partial(torch.compile, backend="aot_eager", dynamic=False)
    monkeypatch.setattr(torch, "compile", lambda ask, **_: traced(ask))
    run = Run(small.student)
    before, digest = weights_of(run.model), run.digest
    answer = kd_ok(*on_pictures(pictures), "--set", "train.compile=true", "--again")
    assert " 3 epochs compiled ~" in answer.err
    assert ": student test_efficientnet, teacher.0 test_resnet\n" in answer.err
    assert Run(small.student).digest == digest
    after = weights_of(run.model)
    assert before.keys() == after.keys()
    for key, value in after.items():
        torch.testing.assert_close(value, before[key], atol=1e-3, rtol=1e-2)


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="no compiler")
def test_a_compiled_training_that_is_resumed_ends_bit_for_bit_alike(
    small: House, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (*on_pictures(pictures), "--set", "train.compile=true", "--set", "train.ema=0.9")
    kd_ok(*words, "--out", tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "keep", then_stop(loop.keep))
        assert kd(*words, "--out", tmp_path / "cut").code == 130
    answer = kd_ok(*words, "--out", tmp_path / "cut")
    assert "compiled in" in answer.err
    assert "going on after epoch 1" in answer.err
    assert same_weights(tmp_path / "whole" / "model.pt", tmp_path / "cut" / "model.pt")


@pytest.mark.slow
def test_without_a_compiler_it_trains_as_ever(
    small: House, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_compiler(*_: object) -> None:
        raise RuntimeError("no C compiler found")

    made = partial(torch.compile, backend=no_compiler)
    monkeypatch.setattr(torch, "compile", lambda ask, **_: made(ask))
    plain = small.student / "model.pt"
    words = ("--set", "train.compile=true", "--out", tmp_path / "again", "--again")
    answer = kd_ok(*on_pictures(pictures), *words)
    told = "warning: student test_efficientnet is not compiled, and goes on without: RuntimeError"
    assert f"{told}: no C compiler found\n" in answer.err
    assert same_weights(plain, tmp_path / "again" / "model.pt")
