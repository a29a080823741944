"""What a kd of today leaves on disk, kept for the kds to come.

A release runs `python tests/attack/make_golden.py` once its number stands in kdcli/__init__.py.
golden/VERSION.tar.xz has
    data/   60 images of 3 classes
    runs/   a student, its teacher and baseline, what the teacher answered, report, ONNX and timm;
            a training that was stopped after the first of two epochs, with its state.pt
Weights repeat every 16 numbers, so that xz makes a few kilobytes of them.
"""

import os
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from golden import DISTILL, GOLDEN, TRAIN
from house import kd, kd_ok, living_in, then_stop

from kdcli import __version__
from kdcli.training import loop

KEPT = 16
"""Numbers of a tensor that stand for all of it."""
LEFT_OUT = ("run.log", "report.html", "bench.py", ".lock")
"""Nothing reads them, or nothing of them is kd's format."""


def make(place: Path, name: str) -> Path:
    """Write golden/NAME.tar.xz by way of an empty folder."""
    draw(place / "data")
    data = ("--data", str(place / "data"))
    os.environ["KD_CACHE"] = str(place / "cache")
    with living_in(place / "runs"), repetitive_weights(), pytest.MonkeyPatch.context() as patch:
        student = kd_ok(*DISTILL, *data, "--json").document["run"]
        kd_ok("evaluate", student)
        kd_ok("export", student)
        kd_ok("export", student, "--format", "timm")
        patch.setattr(loop, "keep", then_stop(loop.keep))
        assert kd(*TRAIN, *data).code == 130
    GOLDEN.mkdir(exist_ok=True)
    file = GOLDEN / f"{name}.tar.xz"
    with tarfile.open(file, "w:xz", preset=9) as archive:
        for part in ("data", "runs"):
            archive.add(place / part, part, filter=_bare)
    return file


def draw(folder: Path) -> None:
    """PNG files of handwritten digits, 20 of each class."""
    digits = load_digits()
    for label, name in enumerate(("zero", "one", "two")):
        (folder / name).mkdir(parents=True)
        for i, image in enumerate(digits.images[digits.target == label][:20]):
            Image.fromarray((image * 15).astype("uint8")).save(folder / name / f"{i:02d}.png")


@contextmanager
def repetitive_weights() -> Iterator[None]:
    """Whatever torch saves meanwhile repeats itself."""
    with pytest.MonkeyPatch.context() as patch:
        save = torch.save
        patch.setattr(torch, "save", lambda raw, *where: save(_repetitive(raw), *where))
        yield


def _repetitive(raw: Any) -> Any:
    if isinstance(raw, torch.Tensor) and raw.numel() > KEPT:
        few = raw.detach().flatten()[:KEPT]
        return few.repeat(-(-raw.numel() // KEPT))[: raw.numel()].reshape(raw.shape)
    if isinstance(raw, dict):
        return {key: _repetitive(value) for key, value in raw.items()}
    if isinstance(raw, list | tuple):
        return type(raw)(map(_repetitive, raw))
    return raw


def _bare(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without what is nobody's business, such as whose files they were."""
    if Path(entry.name).name in LEFT_OUT:
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        made = make(Path(folder), *(sys.argv[1:] or [__version__]))
    print(f"{made}: {made.stat().st_size:,} bytes")
