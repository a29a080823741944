"""run.log: who said what, when; versions, machine, and the traceback of whatever failed."""

import io
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from house import TEACHER, House, kd, kd_ok

from kdcli.cli.console import Console
from kdcli.commands.train import carry_out, train_job
from kdcli.core.errors import DataError
from kdcli.core.files import write_text
from kdcli.core.log import Logbook, story_of
from kdcli.core.progress import Silent
from kdcli.core.text import visible
from kdcli.plan.ask import Ask
from kdcli.runs.layout import FILES
from kdcli.runs.run import Run

STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", re.MULTILINE)


def said(path: Path) -> list[str]:
    """The messages, without header, times and the line that says how long it took."""
    parts = STAMP.split(path.read_text("utf-8"))[1:]
    return [part.strip() for part in parts if " after " not in part]


# The logbook -------------------------------------------------------------------------------------


def test_a_log_begins_with_when_what_and_where(tmp_path: Path) -> None:
    with Logbook("kd train resnet18").open(tmp_path / "run.log"):
        pass
    text = (tmp_path / "run.log").read_text("utf-8")
    assert re.match(r"=== \d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d  kd train resnet18\n", text)
    assert f"in {Path.cwd()}\n" in text
    for name in ("python", "kdcli", "torch", "timm", "onnxruntime", "numpy"):
        assert re.search(rf"\b{name} \d", text), name
    assert re.search(r"on .+, \d+ cores, \w+ .*, \d+ GB memory", text)
    assert re.search(r"done after \d+\.\d s\n$", text)


def test_what_was_said_before_stands_in_every_log_that_follows(tmp_path: Path) -> None:
    book = Logbook()
    book.write("before")
    with book.open(tmp_path / "teacher.log") as write:
        write("teaching")
    book.write("between")
    with book.open(tmp_path / "student.log"):
        book.write("learning")
    assert said(tmp_path / "teacher.log") == ["before", "teaching"]
    assert said(tmp_path / "student.log") == [
        "before",
        f"that part is told in {tmp_path / 'teacher.log'}",
        "between",
        "learning",
    ]


def test_the_innermost_log_hears_and_the_outer_one_points_to_it(tmp_path: Path) -> None:
    book = Logbook()
    with book.open(tmp_path / "student.log"):
        book.write("one")
        with book.open(tmp_path / "baseline.log"):
            book.write("two")
        book.write("three")
    assert said(tmp_path / "baseline.log") == ["two"]
    pointer = f"that part is told in {tmp_path / 'baseline.log'}"
    assert said(tmp_path / "student.log") == ["one", pointer, "three"]


def test_a_log_is_continued(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with Logbook().open(tmp_path / "run.log") as write:
            write(text)
    assert said(tmp_path / "run.log") == ["one", "two"]
    assert (tmp_path / "run.log").read_text("utf-8").count("===") == 2


def test_an_error_leaves_its_traceback_once_and_knows_where(tmp_path: Path) -> None:
    book = Logbook()

    def fail() -> None:
        with book.open(tmp_path / "outer.log"), book.open(tmp_path / "inner.log"):
            raise DataError("no images", "bring some")

    with pytest.raises(DataError) as caught:
        fail()
    inner = (tmp_path / "inner.log").read_text("utf-8")
    assert "Traceback" in inner
    assert "kdcli.core.errors.DataError: no images" in inner
    assert "failed after" in inner
    outer = (tmp_path / "outer.log").read_text("utf-8")
    assert "Traceback" not in outer
    assert f"that part is told in {tmp_path / 'inner.log'}" in outer
    assert "failed after" in outer
    assert story_of(caught.value) == f"the whole story is in {tmp_path / 'inner.log'}"


def test_an_interruption_is_no_failure(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Logbook().open(tmp_path / "run.log"):
        raise KeyboardInterrupt
    text = (tmp_path / "run.log").read_text("utf-8")
    assert "interrupted after" in text
    assert "Traceback" not in text


def test_a_log_that_cannot_be_written_is_told_once_and_stops_nothing(tmp_path: Path) -> None:
    heard: list[str] = []
    book, path = Logbook("", heard.append), tmp_path / "gone" / "run.log"
    with book.open(path) as write:
        write("one")
        write("two")
    assert heard == [f"{path}: cannot be written (No such file or directory); going on"]
    with pytest.raises(ZeroDivisionError) as caught, book.open(path):
        _ = 1 / 0
    assert story_of(caught.value) == "", "nobody is sent to a file that is not there"


def test_a_folder_that_goes_meanwhile_stops_nothing(tmp_path: Path) -> None:
    heard: list[str] = []
    run = tmp_path / "run"
    run.mkdir()
    with Logbook("", heard.append).open(run / "run.log") as write:
        write("one")
        shutil.rmtree(run)
        write("two")
        write("three")
    assert len(heard) == 1


def test_odd_names_forge_no_lines_and_give_no_orders(tmp_path: Path) -> None:
    with Logbook("kd train \x1b[31m \udcff").open(tmp_path / "run.log") as write:
        write("zwölf \udcff \x1b[31m\n2000-01-01 00:00:00  forged")
    text = (tmp_path / "run.log").read_text("utf-8")
    assert "\x1b" not in text
    assert r"zwölf \udcff \x1b[31m" in text
    assert "\n    2000-01-01 00:00:00  forged\n" in text
    assert visible("a\tb\nc\r\x9b") == "a\tb\nc\\x0d\\x9b"


@pytest.mark.parametrize("kind", ["console", "silent"])
def test_every_progress_keeps_a_log(kind: str, tmp_path: Path) -> None:
    progress: Any = Silent() if kind == "silent" else Console(out=io.StringIO())
    progress.say("mobilenetv3 -> mobilenetv3_small_100")
    with progress.log(tmp_path / "run.log") as write:
        progress.warn("one class is rare")
        for _ in progress.track(range(3), 3, "student"):
            progress.note("epoch 1/3")
        write("for the file alone")
    assert said(tmp_path / "run.log") == [
        "mobilenetv3 -> mobilenetv3_small_100",
        "warning: one class is rare",
        "student: 3 to do",
        *["epoch 1/3"] * 3,
        "for the file alone",
    ]


# In a run's folder -------------------------------------------------------------------------------


def test_each_run_of_a_chain_has_its_own(small: House) -> None:
    teacher, student = Run(small.teacher).log, Run(small.student).log
    assert student.name in FILES
    theirs, mine = teacher.read_text("utf-8"), student.read_text("utf-8")
    for text in (theirs, mine):
        assert "===" in text.splitlines()[0]
        assert "kd distill --teacher test_resnet --student test_efficientnet" in text
        assert "pictures: test set: 24 images taken out" in text, "said before there was a folder"
        assert "seed 0, device cpu" in text
    assert "epoch 1/3" in mine
    assert "epoch 1/3" not in theirs
    assert re.search(rf"that part is told in .*{teacher.parent.name}", mine)
    assert "ended: epochs; best epoch" in mine
    assert mine.rstrip().endswith("s")


def test_the_recipe_stands_in_it_resolved(small: House) -> None:
    text = Run(small.student).log.read_text("utf-8")
    block = text.split("recipe kd, resolved:\n")[1]
    recipe = yaml.safe_load(block[: STAMP.search(block).start()])  # type: ignore[union-attr]
    assert recipe["train"]["epochs"] == 3
    assert recipe["methods"]["kd"]["weight"] == 0.9


def test_evaluate_goes_on_in_it(finished: House) -> None:
    text = Run(finished.student).log.read_text("utf-8")
    heads = re.findall(r"^=== .{27}(.*)$", text, re.MULTILINE)
    assert [head.split()[1] for head in heads] == ["distill", "evaluate", "export"]
    assert "no baseline yet for seed 0" in text
    assert "exporting test_efficientnet to" in text
    assert "tell the teacher from luck" in text, "the verdict"
    baseline = Run(finished.run("baseline-")).log.read_text("utf-8")
    assert "epoch 2/2" in baseline


def _quick(pictures: Path, *more: str | Path) -> tuple[str | Path, ...]:
    return ("train", TEACHER, "--data", pictures, "--set", "train.epochs=2", *more)


def _fails(error: BaseException) -> Any:
    def wrong(*_: Any, **__: Any) -> None:
        raise error

    return wrong


def test_an_error_of_a_training_names_it(
    empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = kd(*_quick(pictures, "--set", "train.lr=1e9", "--set", "train.clip=null"))
    assert answer.code == 4
    log = empty_house.run("teacher-") / "run.log"
    assert f"the whole story is in {log}" in answer.err
    assert "Traceback" not in answer.err
    assert "NotFinite" in log.read_text("utf-8")


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["words", "json"])
def test_a_defect_in_a_training_names_it(
    flags: tuple[str, ...], empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdcli.training.share.fit", _fails(RuntimeError("the moon is full")))
    answer = kd(*_quick(pictures), *flags)
    assert answer.code == 1
    said_there = answer.document["error"]["fix"] if flags else answer.err
    log = empty_house.run("teacher-") / "run.log"
    assert f"the whole story is in {log}; please report it" in said_there
    assert said_there.count(str(log)) == 1
    text = log.read_text("utf-8")
    assert "Traceback" in text
    assert "RuntimeError: the moon is full" in text


def test_an_interruption_names_no_log(
    empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdcli.training.share.fit", _fails(KeyboardInterrupt()))
    answer = kd(*_quick(pictures))
    assert answer.code == 130
    assert "run.log" not in answer.err
    assert "interrupted after" in (empty_house.run("teacher-") / "run.log").read_text("utf-8")


def test_a_training_goes_on_without_a_log(
    empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kdcli.training import ensure as module

    def spoilt(*arguments: Any) -> Run:
        run = begin(*arguments)
        run.log.mkdir()
        return run

    begin = module.begin
    monkeypatch.setattr(module, "begin", spoilt)
    answer = kd_ok(*_quick(pictures))
    assert answer.err.count("run.log: cannot be written") == 1
    assert "going on" in answer.err


def test_from_python_there_is_one_too(empty_house: House, pictures: Path) -> None:
    progress = Silent()
    job = train_job(
        Ask("supervised", model=TEACHER, data=str(pictures), settings=("train.epochs=1",)), progress
    )
    (result,) = carry_out(job, progress).trained
    text = result.run.log.read_text("utf-8")
    assert "called from Python" in text
    assert "epoch 1/1" in text


def test_again_begins_a_new_one(empty_house: House, pictures: Path) -> None:
    kd_ok(*_quick(pictures))
    log = empty_house.run("teacher-") / "run.log"
    write_text(log, "old\n")
    kd_ok(*_quick(pictures, "--again"))
    assert "old" not in log.read_text("utf-8")
