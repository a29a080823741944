"""Disks that are full, read-only, forbidden, failing or limited: exit 6 in words, nothing
half-written, the earlier files as they were, and without the obstacle the same result."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from boxed import apart, forbid, limited, may_mount, read_only, small_disk, without_rights
from house import SMALL_TEACHER, STUDENT, TEACHER, Answer, House, kd, kd_ok, on_pictures, weights_of

from kdcli.core.unfinished import is_leftover

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks")
Line = tuple[str | Path, ...]
DISK = 64 << 20
ROOM = (0, 300_000, 1_200_000, 1_800_000)
"""Bytes that are free: none, less than a probe takes, than a training, than all of one."""
SAMPLE = (("distill", 300_000),)


@pytest.fixture
def mounting() -> None:
    """Skips, aloud, where this user may mount nothing."""
    if not may_mount():
        pytest.skip("mounting is not allowed here: no small disk, no read-only one")


@pytest.fixture(scope="module")
def evaluated(small_once: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """`small`, evaluated; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        house = small_once.copy(tmp_path_factory.mktemp("evaluated") / "runs", patch)
        kd_ok("evaluate", house.student)
    return house


@pytest.fixture
def house(evaluated: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A copy to work in."""
    return evaluated.copy(tmp_path / "runs", monkeypatch)


@pytest.fixture
def command(pictures: Path, tmp_path: Path) -> Callable[[str, House], Line]:
    """A command line that writes into a house."""
    cells = tmp_path / "cells.yaml"
    cells.write_text(
        f"common: {{teacher: {TEACHER}, student: {STUDENT}, data: {pictures}, train.epochs: 3, "
        f"train.batch_size: 32, teacher.recipe: {SMALL_TEACHER}}}\naxes: {{seed: [0, 1]}}\n"
    )

    def line(name: str, house: House) -> Line:
        run, both = house.student, (house.student, house.run("baseline-"))
        lines: dict[str, Line] = {
            "distill": (*on_pictures(pictures), "--seed", "1"),
            "evaluate": ("evaluate", run, "--seeds", "2"),
            "export": ("export", run),
            "export out": ("export", run, "--out", house.path / "new.onnx"),
            "export timm": ("export", run, "--format", "timm"),
            "export torch": ("export", run, "--format", "torch"),
            "report": ("report", run),
            "report of several": ("report", *both, "--out", house.path / "several.html"),
            "compare": ("compare", *both, "--plot", house.path / "plot.svg"),
            "sweep": ("sweep", cells),
        }
        return lines[name]

    return line


WRITING = (
    *("distill", "evaluate", "export", "export out", "export timm", "export torch", "report"),
    *("report of several", "compare"),
)


def contents(house: House) -> dict[str, str]:
    """What lies there, by its sum; logs and locks aside."""
    files = (f for f in house.path.rglob("*") if f.is_file())
    return {
        str(f.relative_to(house.path)): hashlib.sha256(f.read_bytes()).hexdigest()
        for f in files
        if f.name not in ("run.log", ".lock")
    }


def results(house: House) -> dict[str, str]:
    """Of all that has been made: weights, files for devices, answers. No times, no paths."""
    found = {}
    for file in house.path.rglob("*"):
        if file.name == "model.pt":
            parts = [value.numpy() for value in weights_of(file).values()]
        elif file.name == "predictions.npz":
            parts = [value for _, value in sorted(np.load(file).items())]
        elif file.suffix in (".onnx", ".safetensors"):
            parts = [np.frombuffer(file.read_bytes(), np.uint8)]
        else:
            continue
        whole = b"".join(part.tobytes() for part in parts)
        found[str(file.relative_to(house.path))] = hashlib.sha256(whole).hexdigest()
    return found


def assert_refused(answer: Answer, *words: str) -> None:
    """Exit 6, in words, with a way out."""
    assert answer.code == 6, (answer.code, answer.err)
    assert any(word in answer.err for word in words), answer.err
    what, way_out = answer.err[answer.err.index("error: ") :].split("\n")[:2]
    assert way_out.startswith("  "), what
    assert "defect" not in answer.err
    assert "Traceback" not in answer.err + answer.out


def assert_nothing_half_written(house: House) -> None:
    assert not [file for file in house.path.rglob("*") if is_leftover(file.name)]


def assert_as_before(house: House, before: dict[str, str], but: tuple[str, ...] = ()) -> None:
    """But for what is added, and for the names of files `but`."""
    after = contents(house)
    assert {p for p in before if before[p] != after.get(p) and Path(p).name not in but} == set()


# Full (row 11) -----------------------------------------------------------------------------------


def on_a_full_disk(
    name: str, room: int, house: House, command: Callable[[str, House], Line]
) -> None:
    """In a process of its own: the disk goes with it."""
    place = house.path.with_name("disk")
    small_disk(place, DISK)
    with pytest.MonkeyPatch.context() as patch:
        there = house.copy(place / "runs", patch)
        ballast, before, line = place / "ballast", contents(there), command(name, there)
        fill(ballast, room)
        answer = kd(*line)
        if answer.code:
            assert_refused(answer, "No space left", "will be needed")
            assert_nothing_half_written(there)
            assert_as_before(there, before, but=("run.yaml", "state.pt", "metrics.jsonl"))
            ballast.unlink()
            kd_ok(*line)
        assert_nothing_half_written(there)
        found = results(there)
    kd_ok(*command(name, house))
    assert found == results(house)


def fill(ballast: Path, room: int) -> None:
    """All of its disk but so many bytes."""
    disk = os.statvfs(ballast.parent)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - room)


@pytest.mark.parametrize(("name", "room"), SAMPLE)
@pytest.mark.usefixtures("mounting")
def test_a_full_disk(name, room, house, command):
    """Row 11."""
    apart(lambda: on_a_full_disk(name, room, house, command))


@pytest.mark.attack
@pytest.mark.parametrize("room", ROOM)
@pytest.mark.parametrize("name", WRITING)
@pytest.mark.usefixtures("mounting")
def test_a_full_disk_whatever_is_written(name, room, house, command):
    """Row 11."""
    if (name, room) in SAMPLE:
        pytest.skip("tried with every suite")
    apart(lambda: on_a_full_disk(name, room, house, command))


@pytest.mark.usefixtures("mounting")
def test_a_plan_needs_no_more_room_than_its_job(house, command):
    """Row 11: a trial of 64 MB refused a job of 8."""

    def work() -> None:
        place = house.path.with_name("disk")
        small_disk(place, DISK)
        with pytest.MonkeyPatch.context() as patch:
            there = house.copy(place / "runs", patch)
            fill(place / "ballast", 6_000_000)
            assert "disk (" in kd_ok(*command("distill", there)).err

    apart(work)
    assert_nothing_half_written(house)


# Read-only (row 12) ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["evaluate", "export", "report", "compare", "sweep"])
@pytest.mark.usefixtures("mounting")
def test_a_read_only_disk_is_told_before_the_work(name, house, command):
    """Row 12: not after an hour of training what it is compared with."""
    before, line = contents(house), command(name, house)

    def work() -> Answer:
        read_only(house.path)
        return kd(*line)

    answer = apart(work)
    assert_refused(answer, "Read-only file system")
    assert not any(word in answer.err for word in ("epoch", "steps", "exporting", "classes"))
    assert_as_before(house, before)


@pytest.mark.attack
@pytest.mark.parametrize("name", WRITING)
@pytest.mark.usefixtures("mounting")
def test_a_read_only_disk_leaves_no_trace(name, house, command):
    """Row 12."""
    before, line = contents(house), command(name, house)

    def work() -> Answer:
        read_only(house.path)
        return kd(*line)

    assert_refused(apart(work), "Read-only file system")
    assert contents(house) == before
    kd_ok(*line)


@pytest.mark.usefixtures("mounting")
def test_a_read_only_disk_can_be_read(house):
    """Row 12: what writes nothing works."""

    def work() -> list[Answer]:
        read_only(house.path)
        return [kd("inspect", house.student), kd("list", "runs")]

    assert [answer.code for answer in apart(work)] == [0, 0]


def test_an_export_elsewhere_needs_its_run_folder_too(house, tmp_path):
    """Row 12: its record is written there."""
    run, out = house.student, tmp_path / "elsewhere.onnx"
    forbid(run)

    def work() -> Answer:
        without_rights()
        return kd("export", run, "--out", out)

    answer = apart(work)
    forbid(run, 0o700, 0o600)
    assert_refused(answer, "Permission denied")
    assert "exporting" not in answer.err
    assert not out.exists()


# Forbidden (row 12) ------------------------------------------------------------------------------


@pytest.mark.attack
@pytest.mark.parametrize("name", [*WRITING, "sweep"])
def test_a_forbidden_folder(name, house, command):
    """Row 12."""
    before, line = contents(house), command(name, house)
    forbid(house.path)

    def work() -> Answer:
        without_rights()
        return kd(*line)

    answer = apart(work)
    forbid(house.path, 0o700, 0o600)
    assert_refused(answer, "Permission denied")
    assert contents(house) == before


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (("recipe", "check", "mine.yaml"), 2),
        (("train", TEACHER, "--recipe", "mine.yaml"), 2),
        (("sweep", "mine.yaml"), 2),
        (("train", TEACHER, "--data", "closed"), 3),
        (("train", TEACHER, "--data", "table.csv"), 3),
        (("train", f"{TEACHER}=closed.pth"), 6),
    ],
    ids=lambda line: str(line),
)
def test_what_may_not_be_read(line, code, empty_house, tmp_path, monkeypatch):
    """Row 12: a recipe, a folder, a table, weights."""
    monkeypatch.chdir(tmp_path)
    for name in ("mine.yaml", "table.csv", "closed.pth"):
        Path(name).write_text("scheme: alone")
        Path(name).chmod(0)
    Path("closed").mkdir(mode=0)

    def work() -> Answer:
        without_rights()
        return kd(*line)

    answer = apart(work)
    Path("closed").chmod(0o700)
    assert answer.code == code, answer.err
    assert "ermission denied" in answer.err or "not readable" in answer.err
    assert "defect" not in answer.err


# Failing (row 13) --------------------------------------------------------------------------------


def failing_at(number: int, patch: pytest.MonkeyPatch) -> list[str]:
    """The disk refuses to flush once; the files that were flushed until then, that one included."""
    flushed: list[str] = []
    fsync = os.fsync

    def refuse(file: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{file}").readlink()))
        if len(flushed) == number:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(file)

    patch.setattr(os, "fsync", refuse)
    return flushed


REWRITTEN = ("run.yaml", "report.json", "report.md", "predictions.npz")
"""Before what failed, perhaps."""


def flushed_badly(name: str, number: int, house: House, line: Line) -> bool:
    """Whether there was a flush of this number."""
    before = contents(house)
    with pytest.MonkeyPatch.context() as patch:
        flushed = failing_at(number, patch)
        answer = kd(*line)
    if len(flushed) < number:
        assert answer.code == 0
        return False
    last = flushed[max(0, number - 2) : number]  # a folder's comes behind that of a file in it
    if answer.code == 0:  # what may be lost: numbers that are kept to save time, a page
        assert any(os.environ["KD_CACHE"] in one or "report.html" in one for one in last)
    else:
        assert_refused(answer, "Input/output error")
        if not Path(last[-1]).is_dir():  # else the new file is there, whole
            assert_as_before(house, before, but=REWRITTEN)
        kd_ok(*line)
    assert_nothing_half_written(house)
    return True


def undisturbed(evaluated: House, place: Path, line: Callable[[House], Line]) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        house = evaluated.copy(place, patch)
        kd_ok(*line(house))
        return results(house)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no list of open files")
@pytest.mark.parametrize(("name", "numbers"), [("distill", (4,)), ("report", (2,))])
def test_a_disk_that_fails(name, numbers, house, command):
    """Row 13."""
    for number in numbers:
        assert flushed_badly(name, number, house, command(name, house))


@pytest.mark.attack
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no list of open files")
@pytest.mark.parametrize("name", ["distill", "evaluate", "export", "export timm", "compare"])
def test_a_disk_that_fails_at_each_flush(name, evaluated, command, tmp_path):
    """Row 13."""
    line = partial(command, name)
    wanted = undisturbed(evaluated, tmp_path / "undisturbed", line)
    for number in range(1, 100):
        with pytest.MonkeyPatch.context() as patch:
            house = evaluated.copy(tmp_path / f"runs{number}", patch)
            if not flushed_badly(name, number, house, line(house)):
                break
            assert results(house) == wanted
    assert number > 2


# Files that may not be large (row 11) ------------------------------------------------------------


def with_small_files(most: int, line: Line) -> Answer:
    def work() -> Answer:
        limited("FSIZE", most)
        return kd(*line)

    return apart(work)


def test_files_may_not_be_large(house, command):
    """Row 11."""
    before, line = contents(house), command("export", house)
    answer = with_small_files(300_000, line)
    assert_refused(answer, "File too large")
    assert "ulimit -f" in answer.err
    assert contents(house) == before


@pytest.mark.attack
@pytest.mark.parametrize("most", [1_000, 300_000, 1_100_000])
@pytest.mark.parametrize("name", WRITING)
def test_files_may_not_be_large_whatever_is_written(name, most, house, command):
    """Row 11."""
    before, line = contents(house), command(name, house)
    answer = with_small_files(most, line)
    if answer.code:
        assert_refused(answer, "File too large")
        assert_as_before(house, before, but=("run.yaml",))
        kd_ok(*line)
    assert_nothing_half_written(house)


@pytest.fixture(autouse=True)
def _writable_again(tmp_path: Path) -> Iterator[None]:
    yield
    forbid(tmp_path, 0o700, 0o600)
