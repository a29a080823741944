"""The door: exit codes, words, streams, and the one JSON document."""

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from house import DISTILL, SMALL_TEACHER, TEACHER, House, kd, kd_ok, save_untrained

import kdcli
from kdcli import __version__
from kdcli.cli.console import Console
from kdcli.core.lock import lock
from kdcli.recipe.load import recipe_names


@dataclass(frozen=True)
class Mistake:
    """A command line that fails, the exit code, and words that must be said."""

    line: str
    code: int
    words: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)


NO_GPU = "cuda:99" if torch.cuda.is_available() else "cuda"

MISTAKES = {
    "unknown command": Mistake("distil", 2, ("distil", "kd distill")),
    "unknown subcommand": Mistake("recipe schma", 2, ("kd recipe schema",)),
    "unknown option": Mistake("distill --techer resnet18", 2, ("--techer", "--teacher")),
    "missing argument": Mistake("train", 2, ("Missing argument", "kd train --help")),
    "bad seed": Mistake("train test_resnet --seed -1", 2, ("--seed", "0")),
    "no teacher": Mistake("distill --student test_resnet", 2, ("--teacher is missing",)),
    "no student": Mistake("distill --teacher test_resnet", 2, ("--student is missing",)),
    "unknown model": Mistake("train resnett18", 2, ("'resnett18'", "did you mean 'resnet18'?")),
    "unknown student": Mistake(
        "distill --teacher test_resnet --student mobilnetv3", 2, ("did you mean 'mobilenetv3'?",)
    ),
    "unknown recipe": Mistake(
        "train test_resnet --recipe supervized",
        2,
        ("did you mean 'supervised'?", "kd, kd_hard, kd_many_classes"),
    ),
    "recipe that needs a teacher": Mistake(
        "train test_resnet --recipe kd", 2, ("needs a teacher", "kd distill")
    ),
    "recipe without a teacher": Mistake(
        "distill --teacher test_resnet --student test_vit --recipe supervised",
        2,
        ("has no teacher", "kd train test_vit"),
    ),
    "several bad settings": Mistake(
        "recipe check kd --set train.epoch=3 --set methods.kd.tempature=8 --set train.lr=fast",
        2,
        (
            "--set: train.epoch: unknown key; did you mean 'train.epochs'?",
            "methods.kd.tempature: unknown key; did you mean 'methods.kd.temperature'?",
            "train.lr: expects a number or 'auto', not 'fast'",
        ),
    ),
    "setting without value": Mistake(
        "train test_resnet --set epochs", 2, ("--set epochs", "key=value")
    ),
    "unknown data": Mistake("train test_resnet --data digit", 2, ("did you mean 'digits'?",)),
    "data that is a file": Mistake(
        f"train test_resnet --data {__file__}", 3, ("is a .py file", "wanted")
    ),
    "missing device": Mistake(
        f"train test_resnet --device {NO_GPU}", 2, (NO_GPU, "not on this machine", "cpu")
    ),
    "device of no kind": Mistake("train test_resnet --device tpux", 2, ("tpux", "cpu")),
    "device misspelt, before the data": Mistake(
        "train test_resnet --device cdua --data nowhere", 2, ("cdua", "did you mean 'cuda'?")
    ),
    "device of an evaluation, before its run": Mistake(
        "evaluate nowhere --device cdua", 2, ("did you mean 'cuda'?",)
    ),
    "unwritable place": Mistake(
        "train test_resnet", 6, ("cannot be written", "KD_RUNS"), {"KD_RUNS": f"{__file__}/runs"}
    ),
    "no run yet": Mistake("evaluate", 2, ("no finished run", "kd distill --teacher")),
    "no such run": Mistake("export nowhere", 2, ("nowhere", "kd list runs")),
    "no run folder": Mistake(f"evaluate {Path(__file__).parent}", 2, ("not a run folder",)),
    "unknown gate": Mistake(
        "evaluate --min student.acuracy=0.9", 2, ("did you mean 'student.accuracy'?",)
    ),
    "unknown gate of export": Mistake(
        "export --max comparison.speed=2", 2, ("did you mean 'comparison.",)
    ),
    "gate without a number": Mistake(
        "evaluate --max student.params=small", 2, ("student.params", "'small'", "number")
    ),
    "gate without a value": Mistake("evaluate --min student.accuracy", 2, ("KEY=VALUE",)),
}
"""None of them needs a run, and none makes one."""


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_in_words(
    mistake: Mistake, empty_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, mistake.env)
    answer = kd(*shlex.split(mistake.line))
    assert answer.code == mistake.code, answer.err
    assert answer.out == ""
    assert "error: " in answer.err
    assert "Traceback" not in answer.err
    assert [w for w in mistake.words if w not in answer.err] == [], answer.err
    assert not empty_house.path.exists()


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_with_json_a_mistake_is_one_document(
    mistake: Mistake, empty_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, mistake.env)
    answer = kd(*shlex.split(mistake.line), "--json")
    assert answer.code == mistake.code
    _assert_error(answer.document, mistake.code, mistake.words)


def _set(monkeypatch: pytest.MonkeyPatch, env: dict[str, str]) -> None:
    for key, value in env.items():
        monkeypatch.setenv(key, value)


def _assert_error(document: dict[str, Any], code: int, words: tuple[str, ...] = ()) -> None:
    assert document.keys() == {"schema", "error"}
    assert document["schema"] == 1
    error = document["error"]
    assert error.keys() == {"code", "what", "fix"}
    assert error["code"] == code
    said = f"{error['what']}\n{error['fix']}"
    assert [word for word in words if word not in said] == []


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_gate_of_no_finite_number_is_refused(value: str, empty_house: House) -> None:
    answer = kd("evaluate", "--min", f"student.accuracy={value}")
    assert answer.code == 2
    assert f"'{value}'" in answer.err


def test_gates_are_read_before_anything_runs(distilled: House) -> None:
    before = distilled.runs()
    assert kd("evaluate", "--min", "student.acuracy=0.9").code == 2
    assert kd("export", "--min", "student.acuracy=0.9").code == 2
    assert distilled.runs() == before
    assert not (distilled.student / "report.json").exists()
    assert not (distilled.student / "export" / "model.onnx").exists()


def test_a_mistyped_class_of_a_gate_sends_nobody_to_a_log(distilled: House) -> None:
    answer = kd("evaluate", distilled.student, "--min", "student.recall.Seven=0.7")
    assert answer.code == 2
    assert "no class 'Seven' in the data" in answer.err
    assert "run.log" not in answer.err


def test_a_family_is_said_aloud(empty_house: House) -> None:
    answer = kd("recipe", "show", "kd", "--student", "mobilenetv3", "--teacher", TEACHER, "--json")
    assert answer.code == 0
    assert "mobilenetv3 -> mobilenetv3_small_100; also mobilenetv3_large" in answer.err
    assert "->" not in answer.out


# Someone else is there, defects, interruptions ---------------------------------------------------


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["words", "json"])
def test_a_run_folder_in_use(flags: tuple[str, ...], small: House, pictures: Path) -> None:
    line = ("train", TEACHER, "--recipe", SMALL_TEACHER, "--data", pictures, "--again", *flags)
    with lock(small.teacher):
        answer = kd(*line)
    assert answer.code == 9
    assert str(small.teacher) in (answer.out if flags else answer.err)
    if flags:
        _assert_error(answer.document, 9, ("another kd",))
    assert (small.teacher / "model.pt").exists()


def test_what_a_killed_start_leaves_is_no_obstacle(
    empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    """A lock file, or the beginning of run.yaml, is all that a disk that was full leaves."""
    out = tmp_path / "out"
    out.mkdir()
    for left in (".lock", ".holder"):
        (out / left).touch()
        os.utime(out / left, (0, 0))
    (out / ".run.yaml.4711.tmp").touch()
    assert kd(*_quick(pictures), "--out", out).code == 0


def _quick(pictures: Path) -> tuple[str, ...]:
    return ("train", TEACHER, "--data", str(pictures), "--set", "train.epochs=1")


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["words", "json"])
def test_a_defect_names_its_log_and_shows_no_traceback(
    flags: tuple[str, ...], empty_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdcli.commands.train.train_job", _raise(RuntimeError("the moon is full")))
    answer = kd("train", TEACHER, *flags)
    assert answer.code == 1
    assert "Traceback" not in answer.err + answer.out
    said = answer.out if flags else answer.err
    assert "a defect of kd itself: RuntimeError: the moon is full" in said
    if flags:
        _assert_error(answer.document, 1)
    (log,) = re.findall(r"\S+\.log", said)
    story = Path(log).read_text("utf-8")
    assert "Traceback" in story
    assert "the moon is full" in story
    Path(log).unlink()


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (PermissionError(13, "Permission denied", "/a/b"), 6, "/a/b: cannot be used (Permission"),
        (FileNotFoundError(2, "No such file or directory", "/a/b"), 2, "/a/b: No such file"),
        (IsADirectoryError(21, "Is a directory", "/a/b"), 2, "/a/b: Is a directory"),
        (OSError(36, "File name too long", "/a/b"), 2, "/a/b: File name too long"),
        (OSError(5, "Input/output error", "/a/b"), 6, "/a/b: cannot be used (Input/output"),
        (OSError(116, "Stale file handle", "/a/b"), 6, "/a/b: cannot be used (Stale"),
        (OSError(24, "Too many open files", "/a/b"), 6, "ulimit -n"),
        (OSError(30, "Read-only file system", "/a/b"), 6, "/a/b: cannot be written (Read-only"),
        (FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"), 6, "TMPDIR"),
        (FileNotFoundError(2, "No such file or directory", kdcli.__file__), 1, "a defect of kd"),
        (OSError("something odd"), 1, "a defect of kd itself: OSError: something odd"),
    ],
)
def test_what_the_system_refuses_is_no_defect(
    error: OSError, code: int, words: str, empty_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdcli.commands.train.train_job", _raise(error))
    answer = kd("train", TEACHER)
    assert answer.code == code
    assert words in answer.err
    for log in re.findall(r"\S+\.log", answer.err):
        Path(log).unlink()


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["words", "json"])
def test_debug_shows_the_traceback(
    flags: tuple[str, ...], empty_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdcli.commands.train.train_job", _raise(MemoryError()))
    answer = kd("train", TEACHER, "--debug", *flags)
    assert answer.code == 5
    assert "Traceback" in answer.err
    if flags:
        _assert_error(answer.document, 5)


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["words", "json"])
def test_interrupted(
    flags: tuple[str, ...], empty_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdcli.commands.train.train_job", _raise(KeyboardInterrupt()))
    answer = kd("train", TEACHER, *flags)
    assert answer.code == 130
    assert "interrupted" in (answer.out if flags else answer.err)
    if flags:
        _assert_error(answer.document, 130)


@pytest.mark.parametrize(("flags", "goes_on"), [((), True), (("--dry-run",), False)])
def test_only_what_goes_on_says_so(
    flags: tuple[str, ...],
    goes_on: bool,
    empty_house: House,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kdcli.commands.train.train_job", _raise(KeyboardInterrupt()))
    assert ("goes on from there" in kd("train", TEACHER, *flags).err) == goes_on
    monkeypatch.setattr("kdcli.plan.fitting_students.list_models", _raise(KeyboardInterrupt()))
    answer = kd("list", "models")
    assert (answer.code, answer.err) == (130, "error: interrupted\n")


def test_terminated(empty_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def terminate(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("kdcli.commands.train.train_job", terminate)
    answer = kd("train", TEACHER, "--json")
    assert answer.code == 143
    _assert_error(answer.document, 143)


def _raise(error: BaseException) -> Any:
    def verb(*_: Any, **__: Any) -> None:
        raise error

    return verb


# Streams -----------------------------------------------------------------------------------------


def test_a_library_that_prints_does_not_spoil_json(monkeypatch: pytest.MonkeyPatch) -> None:
    def chatty(name: str) -> str:
        print("[lib] loading", name)
        return "a recipe"

    monkeypatch.setattr("kdcli.recipe.load.describe_recipe", chatty)
    answer = kd_ok("list", "recipes", "--json")
    assert answer.document == {
        "schema": 1,
        "recipes": dict.fromkeys(recipe_names(), "a recipe"),
    }
    assert "[lib] loading kd" in answer.err


def test_brackets_in_names_are_not_taken_for_markup(empty_house: House) -> None:
    assert "'[red]x'" in kd("train", "[red]x").err


def test_as_a_program(empty_house: House) -> None:
    """The console script and `python -m kdcli`: one process each, streams apart, no colours."""
    script = Path(sys.executable).with_name("kd")
    ways = [[str(script)], [sys.executable, "-m", "kdcli"]]
    for way in ways:
        done = subprocess.run([*way, "train", "--json"], capture_output=True, text=True)
        assert done.returncode == 2
        _assert_error(json.loads(done.stdout), 2)
        assert "\x1b" not in done.stdout + done.stderr


def test_a_reader_that_has_enough_is_no_defect() -> None:
    """As in `kd list recipes | head -1`."""
    nobody_reads, pipe = os.pipe()
    os.close(nobody_reads)
    done = subprocess.run(
        [sys.executable, "-m", "kdcli", "list", "recipes"],
        stdout=pipe,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(pipe)
    assert done.stderr == ""
    assert done.returncode == 0


STREAMS = {
    "few letters": ("list runs", "PYTHONIOENCODING=ascii", 0),
    "few letters, an error": ("recipe check Äpfel", "PYTHONIOENCODING=cp1252", 2),
    "few letters, help": ("evaluate --help", "PYTHONIOENCODING=ascii", 0),
    "the locale C": ("list runs", "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0", 0),
    "no home": ("list recipes", "HOME=/proc/nobody", 0),
    "no colours": ("list recipes", "NO_COLOR=1", 0),
    "a dumb terminal": ("list recipes", "TERM=dumb", 0),
    "stdout closed": ("list runs >&-", "", 0),
    "stdout closed, json": ("list runs --json >&-", "", 0),
    "stderr closed": ("recipe check nowhere 2>&-", "", 2),
    "all closed": ("recipe check nowhere <&- >&- 2>&-", "", 2),
    "stdout full": ("list runs >/dev/full", "", 6),
    "stdout full, json": ("list runs --json >/dev/full", "", 6),
    "stderr full": ("recipe check nowhere 2>/dev/full", "", 2),
    "nobody reads the help": ("--help | true", "", 0),
    "nobody reads the document": ("recipe check nowhere --json | true", "", 2),
}
"""A command line, what it is run with, and its exit code."""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="written for a POSIX shell")
@pytest.mark.parametrize(("line", "env", "code"), STREAMS.values(), ids=STREAMS.keys())
def test_odd_streams_and_places_are_no_defect(line: str, env: str, code: int, small: House) -> None:
    words, bar, reader = line.partition(" | ")
    script = f"env {env} {shlex.quote(sys.executable)} -m kdcli {words}{bar}{reader}"
    done = subprocess.run(
        ["bash", "-c", f"{script}; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "defect" not in done.stderr + done.stdout
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk to write to")
def test_a_document_that_cannot_be_written_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kdcli", "list", "recipes", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 6
    assert done.stderr.startswith("error: what is printed, or a scratch file: cannot be written")


@pytest.mark.parametrize("width", ["0", "-3", "wide", "³", ""])
def test_a_terminal_of_no_width_gets_every_word(
    width: str, empty_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    assert "error: no recipe 'nowhere'" in kd("recipe", "check", "nowhere").err
    assert "no runs yet" in kd_ok("list", "runs").out


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_document_is_utf8_or_plain(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding)
    Console(as_json=True, out=out).document({"class": "Blüte", "file": "z\udce4ro"})
    document = json.loads(raw.getvalue().decode("utf-8"))
    assert document == {"schema": 1, "class": "Blüte", "file": "z\udce4ro"}


def test_letters_stay_letters_in_a_document() -> None:
    raw = io.BytesIO()
    Console(as_json=True, out=io.TextIOWrapper(raw, encoding="utf-8")).document({"class": "Blüte"})
    assert "Blüte" in raw.getvalue().decode("utf-8")


def test_names_give_the_terminal_no_orders(empty_house: House) -> None:
    answer = kd("train", "\x1b[31mred\x07")
    assert r"'\x1b[31mred\x07'" in answer.err
    assert "\x1b" not in answer.err


@pytest.mark.parametrize("width", [20, 60])
def test_a_narrow_terminal_gets_whole_names(
    width: int, small: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdcli.cli.console.WIDTH_OF_A_LOG", width)
    lines = kd_ok("list", "runs").out.splitlines()
    row = lines[lines.index(str(small.student)) + 1]
    assert row.startswith("  role student *, state finished, validation 0.")


@pytest.mark.parametrize("width", range(40, 100, 4))
def test_no_table_breaks_a_word(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("kdcli.cli.console.WIDTH_OF_A_LOG", width)
    heads = ["", "teacher", "student", "validation accuracy"]
    rows = [
        ["model", "resnet101", "mobilenetv3_small_100", "0.9"],
        ["onnxruntime p50/p90", "6.65 / 7.07 ms", "0.62 / 0.71 ms", "0.63 / 0.73 ms"],
    ]
    Console().table(heads, rows)
    said = capsys.readouterr().out
    for whole in ("mobilenetv3_small_100", "onnxruntime", "accuracy", "6.65 / 7.07 ms"):
        assert whole in said


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_once_in_good_order_twice_at_once(
    number: signal.Signals, code: int, empty_house: House, pictures: Path
) -> None:
    """The second one comes while the first is being dealt with, which here takes a minute."""
    script = (
        "import sys, time, kdcli.cli.entry\n"
        "from kdcli.cli import main\n"
        "def slow(error): print('first', file=sys.stderr, flush=True); time.sleep(60)\n"
        "def work(*_, **__): print('working', file=sys.stderr, flush=True); time.sleep(60)\n"
        "import kdcli.recipe.load; kdcli.recipe.load.recipe_names = work\n"
        "kdcli.cli.entry.in_words = slow\n"
        "sys.exit(main())\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, "list", "recipes"], stderr=subprocess.PIPE, text=True
    )
    assert child.stderr is not None
    try:
        assert child.stderr.readline() == "working\n"
        child.send_signal(number)
        assert child.stderr.readline() == "first\n"
        child.send_signal(number)
        assert child.wait(20) == code
    finally:
        child.kill()
        child.communicate()


def test_a_full_disk_stops_a_training_before_its_teacher(
    empty_house: House, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdcli.training.share.fit", _raise(AssertionError("trained for nothing")))
    (tmp_path / "file").touch()
    line = ("distill", "--teacher", TEACHER, "--student", TEACHER, "--data", pictures)
    answer = kd(*line, "--out", tmp_path / "file" / "run")
    assert answer.code == 6
    assert "cannot be written" in answer.err
    assert not empty_house.path.exists()


def test_the_version() -> None:
    answer = kd_ok("--version")
    assert answer.out == f"kd {__version__}\n"
    assert answer.err == ""


def test_alone_it_shows_the_help() -> None:
    answer = kd()
    assert "distill" in answer.out + answer.err
    assert "error" not in answer.err


@pytest.mark.parametrize("name", ["recipes", "runs"])
def test_lists_are_documents_with_json(name: str, empty_house: House) -> None:
    document = kd_ok("list", name, "--json").document
    assert document["schema"] == 1
    assert name in document


def test_recipes_are_listed_with_what_they_are_for() -> None:
    answer = kd_ok("list", "recipes")
    assert "Soft targets" in answer.out
    assert "supervised" in answer.out
    assert "next: kd recipe show kd" in answer.out


def test_no_runs_yet(empty_house: House) -> None:
    answer = kd_ok("list", "runs")
    assert "no runs yet" in answer.out
    assert "next: kd distill" in answer.out
    assert kd_ok("list", "runs", "--json").document == {"schema": 1, "runs": [], "answers": []}


def test_runs_are_listed(small: House) -> None:
    (small.student / "model.pt").unlink()
    answer = kd_ok("list", "runs")
    (line,) = [row for row in answer.out.splitlines() if small.teacher.name in row]
    assert "teacher" in line
    assert "finished" in line
    assert "MB" in line or "kB" in line
    assert re.search(r"20\d\d-\d\d-\d\d \d\d:\d\d", line)
    (line,) = [row for row in answer.out.splitlines() if small.student.name in row]
    assert "unfinished" in line
    assert "student *" in line
    assert "next: kd list runs --prune" in answer.out
    listed = kd_ok("list", "runs", "--json").document["runs"]
    told = {(Path(r["run"]).name, r["asked"], r["finished"], r["role"]) for r in listed}
    assert told == {
        (small.teacher.name, False, True, "teacher"),
        (small.student.name, True, False, "student"),
    }
    assert all(r["bytes"] > 1000 for r in listed)
    assert all(datetime.fromisoformat(r["date"]).tzinfo for r in listed)


def test_a_damaged_run_is_told_by_its_name(small: House) -> None:
    (small.teacher / "run.yaml").write_text("asked: [")
    answer = kd("evaluate", small.teacher)
    assert answer.code == 7
    assert str(small.teacher / "run.yaml") in answer.err


# Recipes -----------------------------------------------------------------------------------------


def test_show_names_an_origin_for_every_key(empty_house: House) -> None:
    line = ("recipe", "show", "kd", "--data", "digits", "--set", "methods.kd.temperature=8")
    settings = kd_ok(*line, "--json").document["settings"]
    assert settings["methods.kd.temperature"] == {"value": 8, "from": "--set"}
    assert settings["methods.kd.weight"] == {"value": 0.9, "from": "recipe kd"}
    assert settings["train.optimizer"] == {"value": "adamw", "from": "default"}
    assert settings["train.epochs"]["from"] == "auto: data digits"
    assert all(setting["from"] for setting in settings.values())
    undecided = [key for key, setting in settings.items() if setting["value"] == "auto"]
    # counted before each training; looked up; each pair decides
    assert undecided == ["teacher.answers", "data.licence", "match.adapter"]


def test_show_prints_a_line_for_every_key(empty_house: House) -> None:
    settings = kd_ok("recipe", "show", "kd", "--json").document["settings"]
    printed = kd_ok("recipe", "show", "kd").out
    assert len(settings) > 20
    assert [key for key in settings if f" {key} " not in printed] == []


def test_show_leads_to_a_command_with_these_settings(empty_house: House, tmp_path: Path) -> None:
    mine = tmp_path / "my recipe.yaml"
    mine.write_text("methods: {kd: }\n")
    line = ("recipe", "show", mine, "--data", "digits", "--student", "test_vit")
    (said,) = [
        row
        for row in kd_ok(*line, "--set", "train.epochs=1").out.splitlines()
        if row.startswith("next: ")
    ]
    assert said == (
        f"next: kd distill --teacher resnet101 --student test_vit --recipe '{mine}' "
        "--set train.epochs=1 --data digits"
    )
    labels_only = kd_ok("recipe", "show", "supervised").out
    assert "next: kd train mobilenetv3 --recipe supervised" in labels_only


def test_check_finds_nothing_wrong() -> None:
    assert "kd: nothing wrong" in kd_ok("recipe", "check", "kd").out
    document = kd_ok("recipe", "check", "kd", "--json").document
    assert document == {"schema": 1, "recipe": "kd", "ok": True}


@pytest.mark.parametrize(
    ("teachers", "words"),
    [
        (None, "no recipe '{}': neither a shipped one nor a file"),
        ("scheme: alone\ntrain: {epocs: 3}\n", "{}: train.epocs: unknown key"),
        ("methods: {kd: }\n", "recipe theirs needs a teacher"),
        ("scheme: alone\ntrain: {tune: head, mixup: 0.2}\n", "tune=head shows each image"),
    ],
)
def test_check_follows_the_recipe_of_the_teachers(
    teachers: str | None, words: str, tmp_path: Path
) -> None:
    mine, theirs = tmp_path / "mine.yaml", tmp_path / "theirs.yaml"
    mine.write_text(f"methods: {{kd: }}\nteacher: {{recipe: {theirs}}}\n", "utf-8")
    if teachers:
        theirs.write_text(teachers, "utf-8")
    answer = kd("recipe", "check", mine)
    assert answer.code == 2
    assert f"teacher.recipe={theirs}: {words.format(theirs)}" in answer.err


def test_show_leads_to_the_settings_of_the_teachers(empty_house: House, tmp_path: Path) -> None:
    line = ("recipe", "show", "kd", "--teacher", TEACHER, "--data", "digits")
    changes = ("--set", "teacher.subset=0.5", "--set", "data.image_size=40")
    (command,) = kd_ok(*line, *changes, "--json").document["teachers"]
    assert f"a teacher that is trained first: {command}\n" in kd_ok(*line, *changes).out
    settings = kd_ok(*shlex.split(command)[1:], "--json").document["settings"]
    wanted = {"data.subset": 0.5, "data.image_size": 40, "data.licence": "auto"}
    assert {key: settings[key]["value"] for key in wanted} == wanted
    finished = ("kd", "--teacher", save_untrained(tmp_path / "a.pt", ("a", "b")))
    for untrained in (finished, ("born_again",), ("supervised",)):
        assert kd_ok("recipe", "show", *untrained, "--json").document["teachers"] == []


def test_show_refuses_a_teacher_where_there_is_none(empty_house: House) -> None:
    answer = kd("recipe", "show", "supervised", "--teacher", TEACHER)
    assert answer.code == 2
    command = answer.err.strip().splitlines()[-1]
    assert command.endswith(f"kd recipe show supervised --student {TEACHER}")
    assert f"kd train {TEACHER}" in kd_ok("recipe", "show", "supervised", "--student", TEACHER).out


@pytest.mark.parametrize(
    ("recipe", "settings", "words"),
    [
        ("kd", ["data.pool=mixup"], "scheme offline has nobody label them"),
        ("kd", ["train.tune=head"], "nobody else would have a say"),
        ("supervised", ["train.tune=head", "train.mixup=0.2"], "images cannot be varied"),
        ("supervised", ["train.accumulate=9", "train.batch_size=16"], "less than two images"),
        ("compress", ["train.mixup=0.2"], "that the teachers have labelled before"),
    ],
)
def test_what_contradicts_itself_is_told_before_data_are_read(
    recipe: str, settings: list[str], words: str
) -> None:
    sets = [word for setting in settings for word in ("--set", setting)]
    who = ("train", "test_vit") if recipe == "supervised" else DISTILL
    for line in (("recipe", "check", recipe), (*who, "--recipe", recipe, "--data", "nowhere")):
        answer = kd(*line, *sets)
        assert answer.code == 2
        assert words in answer.err


def test_check_says_where_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("train:\n  epochs: many\n  epocs: 3\nmethods: {kdd: }\n")
    answer = kd("recipe", "check", file)
    assert answer.code == 2
    assert f"{file}: train.epochs: expects a whole number or 'auto', not 'many'" in answer.err
    assert f"{file}: train.epocs: unknown key; did you mean 'train.epochs'?" in answer.err
    assert f"{file}: methods.kdd: unknown method 'kdd'; did you mean 'kd'?" in answer.err


def test_the_schema_is_one_that_editors_can_use() -> None:
    schema = kd_ok("recipe", "schema").document
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["type"] == "object"
    (_, options) = schema["properties"]["methods"]["properties"]["kd"]["anyOf"]
    temperature = options["properties"]["temperature"]
    assert temperature["default"] == 4.0
    assert temperature["description"].startswith("Softens")
    assert "offline" in str(schema["properties"]["scheme"])
    for node in _nodes(schema):
        if "$ref" in node:
            assert node["$ref"].removeprefix("#/$defs/") in schema["$defs"]
        kinds = node.get("type", "object")
        if isinstance(kinds, str) and "properties" not in node.get("type", {}):
            assert kinds in {"object", "array", "string", "number", "integer", "boolean", "null"}


def _nodes(schema: Any) -> list[dict[str, Any]]:
    """Every schema within the schema."""
    if isinstance(schema, list):
        return [node for item in schema for node in _nodes(item)]
    if not isinstance(schema, dict):
        return []
    inner = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    inner += [schema.get(key) for key in ("anyOf", "allOf", "items", "additionalProperties")]
    return [schema, *_nodes(inner)]


# The shell ---------------------------------------------------------------------------------------


def _completed(line: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str], str]:
    monkeypatch.setenv("_KD_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    answer = kd()
    return answer.code, answer.out.split(), answer.err


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("kd dis", "distill"),
        ("kd distill --teacher resn", "resnet18"),
        ("kd distill --teacher vgg11 --assistant resn", "resnet34"),
        ("kd distill --student mobilenetv", "mobilenetv3"),
        ("kd train mobilenetv", "mobilenetv3_small_100"),
        ("kd distill --recipe k", "kd"),
        ("kd recipe show super", "supervised"),
    ],
)
def test_the_shell_completes(line: str, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, words, _ = _completed(line, monkeypatch)
    assert word in words
    assert all(w.startswith(line.split()[-1]) for w in words)


def test_the_shell_completes_runs(small: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _, words, _ = _completed(f"kd evaluate {small.path}/kd-", monkeypatch)
    assert words == [str(small.student)]


def test_completing_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, said = _completed("kd dis", monkeypatch)
    assert code == 0
    assert said == ""


@pytest.mark.parametrize("words", ["OutOfMemoryError", "can't allocate memory"])
def test_full_memory_has_its_own_exit_code(words: str) -> None:
    from kdcli.cli.entry import in_words

    kind = type(words, (RuntimeError,), {}) if words.isidentifier() else RuntimeError
    error = in_words(kind(f"DefaultCPUAllocator: {words}"))
    assert error.code == 5
    assert "--set train.batch_size=" in error.fix
    assert "--set train.accumulate=" in error.fix


def test_a_lost_worker_process_is_no_defect_of_kd() -> None:
    from kdcli.cli.entry import in_words

    error = in_words(RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "))
    assert error.code == 3
    assert "KD_WORKERS=0" in error.fix
