"""Rows 14 and 49: one run that is damaged, in whatever way, blinds kd to no other, and is named."""

import os
import pickle
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from house import SMALL_TEACHER, STUDENT, TEACHER, Answer, House, kd, kd_ok, on_pictures

from kdcli.runs.inventory import inventory
from kdcli.runs.prune import disposable

READ = ("run.yaml", "needs.json", "metrics.jsonl", "model.pt", "predictions.npz", "report.json")
"""Whatever is found in them, it is said."""
OTHERS = ("split.json", "run.log", "report.md")
"""Of these kd looks at nothing, but that they are files."""
NOBODY = 65534


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def put(file: Path) -> None:
        file.unlink()
        make(file)

    return put


CONTENTS: dict[str, Callable[[Path], object]] = {
    "cut": _cut,
    "empty": lambda file: file.write_bytes(b""),
    "not UTF-8": lambda file: file.write_bytes(b"\xff\xfe\x00\x81" * 9),
    "newer": lambda file: file.write_text("{}" if file.suffix == ".pt" else "format: 9"),
}
KINDS: dict[str, Callable[[Path], object]] = {
    "folder": _replaced(Path.mkdir),
    "pipe": _replaced(os.mkfifo),
    "circle": _replaced(lambda file: file.symlink_to(file.name)),
    "dead link": _replaced(lambda file: file.symlink_to("nowhere")),
}


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """A pipe that is waited for would be waited for for ever."""

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def looked(house: House) -> tuple[Answer, ...]:
    """What lists runs, and what may go of them."""
    with at_most(60):
        return kd("list", "runs", "--json"), kd("list", "runs"), kd("list", "runs", "--prune")


def assert_named(house: House, file: Path, answers: tuple[Answer, ...], count: int) -> None:
    document, text, prune = answers
    assert (document.code, text.code, prune.code) == (0, 0, 0)
    rows = {Path(row["run"]): row["damaged"] for row in document.document["runs"]}
    assert len(rows) == count
    assert [path for path, damaged in rows.items() if damaged] == [file.parent]
    assert any(str(file) in what for what in rows[file.parent])
    assert f"warning: {file}" in text.err
    assert not any(str(house.path) in line for line in prune.out.splitlines()), "nothing may go"


def sampled(options: Iterable[str], *sample: str) -> list[Any]:
    """All of them; what is no sample is left to `make attack`."""
    attack = pytest.mark.attack
    return [one if one in sample else pytest.param(one, marks=attack) for one in options]


@pytest.mark.parametrize("how", sampled(CONTENTS, "cut"))
@pytest.mark.parametrize("name", READ)
def test_contents(finished: House, name: str, how: str) -> None:
    file = finished.student / name
    CONTENTS[how](file)
    assert_named(finished, file, looked(finished), len(finished.runs()))


@pytest.mark.parametrize("how", sampled(KINDS, "pipe"))
@pytest.mark.parametrize("name", sampled((*READ, *OTHERS), "run.yaml", "needs.json"))
def test_kinds(finished: House, name: str, how: str) -> None:
    file, count = finished.student / name, len(finished.runs())
    file.touch()
    KINDS[how](file)
    assert_named(finished, file, looked(finished), count)


@pytest.mark.parametrize("name", sampled((*READ, ""), "metrics.jsonl", ""))
def test_permissions(finished: House, name: str) -> None:
    """An empty name is the folder itself."""
    for folder in finished.path.parents:
        if str(folder).startswith("/tmp/") and folder.stat().st_uid == os.getuid():
            folder.chmod(folder.stat().st_mode | 0o005)
    place = finished.student / name
    place.chmod(0)
    document, text, prune = as_somebody(lambda: looked(finished))
    assert (document.code, text.code, prune.code) == (0, 0, 0)
    rows = {row["run"]: row["damaged"] for row in document.document["runs"]}
    assert len(rows) == 3
    assert any(str(place) in what for what in rows[str(finished.student)])


def as_somebody(call: Callable[[], tuple[Answer, ...]]) -> tuple[Answer, ...]:
    """What it gives to a user whom permissions bind; root is not."""
    if os.getuid() != 0:
        return call()
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        with os.fdopen(write, "wb") as out:
            out.write(pickle.dumps([(one.code, one.out, one.err) for one in call()]))
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as found:
        answers = pickle.loads(found.read())
    os.waitpid(child, 0)
    return tuple(Answer(*one) for one in answers)


# What killed kds leave ---------------------------------------------------------------------------


def test_what_killed_exports_and_plans_left_is_seen_and_goes(finished: House) -> None:
    left = (
        finished.student / "export" / ".model.onnx.99999999.tmp" / "model.onnx",
        finished.student / "export" / ".model.pt2.99999999.tmp",
        finished.student / ".timm.99999999.tmp" / "model.safetensors",
        finished.path / ".scratch.99999999.tmp" / "tried.pt",
        finished.path / "tmpa1b2c3d4" / "tried.pt",
        finished.path / "tmpe1b2c3d4" / ".tried.pt.99999999.tmp",
        finished.path / "answers" / "t-0" / ".manifest.json.99999999.tmp",
    )
    before = sum(folder.bytes for folder in inventory())
    for file in left:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(1000))
        for one in (file, file.parent):
            os.utime(one, (1e9, 1e9))
    assert sum(folder.bytes for folder in inventory()) >= before + 7000
    found = kd("list", "runs", "--prune", "--yes", "--json").document["prune"]
    assert sum(item["bytes"] for item in found["items"]) >= 7000
    assert not [file for file in left if file.exists()]
    folders = {file.parent for file in left} - {finished.student / "export", finished.student}
    assert not [folder for folder in folders if folder.exists()]
    assert (finished.student / "export" / "model.onnx").is_file()
    assert disposable(inventory()) == []


# Tables ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", sampled(("cut", "not UTF-8"), "cut"))
@pytest.mark.parametrize("name", ["run.yaml", "model.pt", "report.json", "predictions.npz"])
def test_a_comparison_goes_on_and_ends_with_7(finished: House, name: str, how: str) -> None:
    shutil.copytree(finished.student, finished.path / "copy")
    file = finished.path / "copy" / name
    CONTENTS[how](file)
    things = (finished.student, finished.run("baseline"), finished.path / "copy")
    answer = kd("compare", *things, "--json")
    assert (answer.code, answer.document["error"]["code"]) == (7, 7)
    assert len(answer.document["candidates"]) == 2
    assert str(file) in answer.document["damaged"][0]
    assert any(str(file) in note for note in answer.document["notes"])
    alone = kd("compare", finished.student, finished.path / "copy")
    assert (alone.code, str(file) in alone.err) == (7, True)


@pytest.mark.parametrize(
    "name", sampled(("model.pt", "report.json", "predictions.npz"), "model.pt")
)
def test_the_table_of_a_sweep_goes_on(
    small: House, pictures: Path, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "cells.yaml"
    own = f"teacher: {TEACHER}, student: {STUDENT}, data: {pictures}, train.batch_size: 32"
    own += f", train.epochs: 3, teacher.recipe: {SMALL_TEACHER}"
    file.write_text(f"common: {{{own}}}\naxes: {{seed: [0], methods.kd.weight: [0.9, 0.5]}}\n")
    kd_ok(*on_pictures(pictures), "--set", "methods.kd.weight=0.5")
    runs = small.runs("kd-")
    for run in runs:
        kd_ok("evaluate", run)
    before = kd_ok("sweep", file, "--table", "--json").document
    assert len(before["tables"][0]["candidates"]) == 2
    _cut(runs[0] / name)
    answer = kd_ok("sweep", file, "--table", "--json")
    (table,) = answer.document["tables"]
    assert [row["run"] for row in table["candidates"]] == [str(runs[1])]
    assert str(runs[0] / name) in table["damaged"][0]
    _cut(runs[1] / name)
    assert kd("sweep", file, "--table").code == 7
