"""Rows 14, 17 and 50: every file of a finished run, damaged; then each command that reads it."""

import io
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pytest
import torch
import yaml
from contract import Scratch, cases, holds, tried
from house import ON_DIGITS, House, kd_ok
from hypothesis import strategies as st
from PIL import Image

LOOK = ("inspect runs/kd --json", "list runs --json", "report runs/kd")
COMPARE = ("compare runs/kd runs/other --no-measure", "compare runs/kd --no-measure --json")
AGAINST = (
    "compare runs/kd/report.json runs/other --no-measure --csv",
    "evaluate runs/other --no-train --against runs/kd/report.json",
)
EVALUATE = ("evaluate runs/kd --no-train --json --min student.accuracy=0.1",)
AGAIN = ("distill", "distill --dry-run", "list runs --prune")
FOR_TIMM = ("export runs/kd --format timm",)
OF_TIMM = (
    "inspect local-dir:runs/kd/timm",
    "inspect test_efficientnet=runs/kd/timm/model.safetensors --json --data digits",
    "match --teacher local-dir:runs/kd/timm --student test_vit",
)
READ_BY = {
    "run.yaml": (
        *(*LOOK, *COMPARE, *EVALUATE, *AGAIN, *FOR_TIMM, "list runs", "inspect runs/kd/model.pt"),
        *("recipe check runs/kd/run.yaml", "match --teacher runs/kd --student test_vit"),
    ),
    "needs.json": (*LOOK, *AGAIN, *EVALUATE, *COMPARE),
    "model.pt": (
        *LOOK,
        *AGAIN,
        *EVALUATE,
        *FOR_TIMM,
        "inspect runs/kd/model.pt",
        "inspect runs/kd",
    ),
    "state.pt": (*LOOK[:2], *AGAIN),
    "metrics.jsonl": (*LOOK, *AGAIN, *EVALUATE, *COMPARE, "list runs", "inspect runs/kd"),
    "predictions.npz": ("report runs/kd", *COMPARE, *COMPARE, *AGAINST, *EVALUATE),
    "report.json": (
        *LOOK,
        *COMPARE,
        *AGAINST,
        *EVALUATE,
        *FOR_TIMM,
        "list runs",
        "inspect runs/kd",
    ),
    "report.md": (*EVALUATE, "report runs/kd"),
    "run.log": (*EVALUATE, *FOR_TIMM, "report runs/kd"),
    "export/model.onnx": (
        *("predict runs/kd a.png", "inspect runs/kd/export/model.onnx", "inspect runs/kd"),
        *("predict runs/kd/export/model.onnx a.png --json", "predict runs/kd/model.pt a.png"),
        *("evaluate runs/kd/export/model.onnx --test digits", "list runs --json"),
    ),
    "export/labels.txt": ("predict runs/kd a.png --json", "list runs --json"),
    "timm/config.json": (*OF_TIMM, *OF_TIMM, *FOR_TIMM, "list runs --json"),
    "timm/model.safetensors": (*OF_TIMM, *FOR_TIMM),
}
"""Commands that train and time nothing, by the file; `distill` is the one that made the run, and
finds it finished."""
FILES = tuple(READ_BY)


@dataclass(frozen=True)
class Damage:
    """What happens to a file: `how`, where (a number for whatever it has), and what comes there."""

    file: str
    how: str
    place: int = 0
    new: Any = None

    def do(self, run: Path) -> None:
        """To the file in this folder."""
        path = run / self.file
        path.parent.mkdir(exist_ok=True)
        old = path.read_bytes() if path.exists() else b""
        path.unlink(missing_ok=True)
        new = _HOW[self.how](self, old, run)
        if new is not None:
            path.write_bytes(new)


def _flipped(damage: Damage, old: bytes, run: Path) -> bytes:
    content, chance = bytearray(old or b"?"), random.Random(damage.place)
    for _ in range(1 + damage.place % 4):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(content)


def _swapped(damage: Damage, old: bytes, run: Path) -> bytes | None:
    other = run / FILES[damage.place % len(FILES)]
    return other.read_bytes() if other.exists() else old


def _odd(damage: Damage, old: bytes, run: Path) -> bytes:
    """Read, one of its values replaced, and written again: a file that is whole, and wrong."""
    if damage.file.endswith((".json", ".yaml")):
        known = yaml.safe_load(old) if old else {}
        changed = hostile.put_at(known, damage.place, damage.new)
        if damage.file.endswith(".yaml"):
            return yaml.dump(changed).encode("utf-8", "surrogatepass")
        return hostile.as_json(changed)
    if damage.file.endswith(".jsonl"):
        lines = [json.loads(line) for line in old.splitlines()]
        changed = hostile.put_at(lines, damage.place, damage.new)
        rows = changed if isinstance(changed, list) else [changed]
        return b"\n".join(map(hostile.as_json, rows))
    if damage.file.endswith(".npz"):
        return _odd_arrays(damage, old)
    if damage.file.endswith(".pt"):
        known = torch.load(io.BytesIO(old), weights_only=True) if old else {}
        stream = io.BytesIO()
        torch.save(hostile.put_at(known, damage.place, damage.new), stream)
        return stream.getvalue()
    return _flipped(damage, old, run)


def _odd_arrays(damage: Damage, old: bytes) -> bytes:
    with np.load(io.BytesIO(old)) as known:
        arrays = dict(known)
    name = sorted(arrays)[damage.place % len(arrays)]
    value = arrays[name]
    others: tuple[Callable[[], Any], ...] = (
        *(lambda: value[:-1], lambda: value[..., None], lambda: value.astype(str), lambda: 0),
        *(lambda: np.full(value.shape, np.nan), lambda: value[:0], lambda: np.array(["\x1b"])),
        *(lambda: value.astype("<U5"), lambda: np.zeros(value.shape, bool), lambda: value[::-1]),
        *(lambda: np.full(value.shape, np.inf), lambda: np.array([damage.new], dtype=object)),
        lambda: np.full(value.shape, -1),
    )
    arrays[name] = others[damage.place // len(arrays) % len(others)]()
    if damage.place % 11 == 0:
        del arrays[name]
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


_HOW: dict[str, Callable[[Damage, bytes, Path], bytes | None]] = {
    "gone": lambda damage, old, run: None,
    "empty": lambda damage, old, run: b"",
    "cut": lambda damage, old, run: old[: damage.place * 7919 % (len(old) or 1)],
    "longer": lambda damage, old, run: old + b"\0[" * (1 + damage.place % 9),
    "flipped": _flipped,
    "swapped": _swapped,
    "odd": _odd,
    "json": lambda damage, old, run: hostile.as_json(damage.new),
    "bytes": lambda damage, old, run: random.Random(damage.place).randbytes(damage.place % 400),
    "deep": lambda damage, old, run: (b"[" if damage.place % 2 else b'{"a":') * 100_000,
    "folder": lambda damage, old, run: (run / damage.file).mkdir(),
}
pairs = st.sampled_from([(file, command) for file in FILES for command in READ_BY[file]])
damages = st.builds(
    lambda pair, how, place, new: (Damage(pair[0], how, place, new), pair[1]),
    pairs,
    st.sampled_from([*_HOW, *["odd"] * 20]),
    st.integers(0, 5000),
    hostile.plain | hostile.jsons,
)
KNOWN = [
    (Damage("timm/config.json", "odd", 2327, "x"), OF_TIMM[0]),  # a mean of words
    (Damage("timm/config.json", "deep"), OF_TIMM[0]),
    (Damage("model.pt", "odd", 2191, [-0.5, 2**64]), EVALUATE[0]),  # a licence of numbers
    (Damage("needs.json", "deep"), LOOK[0]),
]


@cases(few=8, many=1000)
def test_any_damaged_file_is_told_of(
    count: int, finished_once: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = finished_once.copy(tmp_path / "whole", monkeypatch)
    kd_ok("export", whole.student, "--format", "timm")
    name = whole.student.name

    def furnish(folder: Path) -> None:
        shutil.copytree(whole.path, folder / "runs")
        shutil.copytree(whole.student, folder / "runs" / "other")
        (folder / "runs" / "kd").symlink_to(name)
        Image.new("L", (8, 8), 77).save(folder / "a.png")

    scratch = Scratch(tmp_path / "here", monkeypatch, furnish)

    def check(case: tuple[Damage, str]) -> None:
        damage, command = case
        damage.do(scratch.anew() / "runs" / name)
        words = command.split()
        if words[0] == "distill":
            words = [*ON_DIGITS, *words[1:]]
        holds(*words, folder=scratch.path)

    tried(count, damages, KNOWN, check)
