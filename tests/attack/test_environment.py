"""Memory, handles, shared memory, folders for scratch files, homes, names, terminals and streams
that are short or missing: documented exits, true words."""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from boxed import apart, limited, may_mount, more_memory, small_disk
from house import TEACHER, Answer, kd, kd_ok, on_pictures, same_weights
from PIL import Image

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks, and limits of POSIX")
MEGABYTE = 10**6
LONG = "n" * 300
Line = tuple[str | Path, ...]


def assert_documented(answer: Answer, *codes: int) -> None:
    assert answer.code in codes, (answer.code, answer.err)
    assert "defect" not in answer.err
    assert "Traceback" not in answer.err + answer.out


# Memory (row 23) ---------------------------------------------------------------------------------


def in_memory_of(more: int, line: Line) -> Answer:
    def work() -> Answer:
        more_memory(more)
        return kd(*line)

    answer: Answer = apart(work)
    assert_documented(answer, 0, 5)
    if answer.code:
        assert "out of memory" in answer.err or "no further thread" in answer.err
        assert "ulimit -v" in answer.err
    return answer


def test_little_memory(empty_house, pictures):
    """Row 23."""
    line = ("train", TEACHER, "--data", pictures, "--set", "data.image_size=512")
    assert in_memory_of(20 * MEGABYTE, line).code == 5


@pytest.mark.attack
@pytest.mark.parametrize("megabytes", [1, 30, 100, 200])
@pytest.mark.parametrize("command", ["distill", "evaluate", "export", "report", "compare"])
def test_whatever_memory_there_is(command, megabytes, finished, pictures):
    """Row 23: refused in words, or done."""
    lines = {
        "distill": (*on_pictures(pictures), "--seed", "1"),
        "evaluate": ("evaluate", finished.student, "--seeds", "2"),
        "export": ("export", finished.student),
        "report": ("report", finished.student),
        "compare": ("compare", finished.student, finished.run("baseline-")),
    }
    in_memory_of(megabytes * MEGABYTE, lines[command])


@pytest.mark.attack
@pytest.mark.parametrize("megabytes", [50, 600, 1500, 3500, 4000])
@pytest.mark.parametrize("words", ["distill --teacher {0} --student {0}", "list runs"])
def test_memory_that_the_libraries_do_not_fit_into(words, megabytes, small):
    """Row 23: a process of its own, limited before its imports."""
    line = [sys.executable, "-m", "kdcli", *words.format(TEACHER).split()]
    line += ["--set", "train.epochs=1", "--set", "teacher.recipe=supervised"] * ("{" in words)
    done = subprocess.run(
        line,
        capture_output=True,
        text=True,
        preexec_fn=lambda: limited("AS", megabytes * MEGABYTE),
        timeout=300,
    )
    by_itself = "OpenBLAS error: Memory allocation" in done.stderr  # it ends the process, with 1
    assert done.returncode in ((1,) if by_itself else (0, 5)), done.stderr
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr


def test_an_image_that_finds_no_memory_is_not_called_broken(small, pictures, monkeypatch):
    """Row 23."""

    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("kdcli.data.images.opened", full)
    answer = kd("doctor", pictures)
    assert_documented(answer, 5)
    assert "out of memory" in answer.err


# Processes and their memory (row 24) -------------------------------------------------------------


@pytest.fixture(scope="module")
def large_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 classes of 40 images of 224 pixels."""
    folder = tmp_path_factory.mktemp("large")
    for label, colour in {"dark": 40, "light": 200}.items():
        (folder / label).mkdir()
        for i in range(40):
            image = Image.new("L", (224, 224), colour)
            image.putpixel((i, 0), 255 - colour)
            image.save(folder / label / f"{i:02d}.png")
    return folder


@pytest.mark.attack
@pytest.mark.parametrize("megabytes", [64, 1])
def test_shared_memory_of_a_container(megabytes, large_pictures, empty_house, tmp_path):
    """Row 24: four processes make batches of 19 MB; they come through pipes."""
    if not may_mount():
        pytest.skip("mounting is not allowed here: no small /dev/shm")
    line = ("train", TEACHER, "--data", large_pictures, "--set", "train.batch_size=32")
    line = (*line, "--set", "data.image_size=224", "--set", "train.epochs=2")
    line = (*line, "--set", "student.pretrained=false")

    def with_workers(count: int, out: Path) -> Answer:
        def work() -> Answer:
            if count:
                small_disk(Path("/dev/shm"), megabytes << 20)
            os.environ["KD_WORKERS"] = str(count)
            return kd(*line, "--out", out)

        return apart(work)

    assert_documented(with_workers(4, tmp_path / "four"), 0)
    assert_documented(with_workers(0, tmp_path / "none"), 0)
    assert same_weights(tmp_path / "four" / "model.pt", tmp_path / "none" / "model.pt")


@pytest.mark.attack
@pytest.mark.parametrize("handles", [64, 32, 20])
@pytest.mark.parametrize("command", ["distill", "evaluate", "export", "predict", "report"])
def test_few_open_files(command, handles, finished, pictures):
    """Row 24: done, or told which limit is too low."""
    image = pictures / "one" / "00.png"
    lines: dict[str, Line] = {
        "distill": (*on_pictures(pictures), "--seed", "1"),
        "evaluate": ("evaluate", finished.student, "--seeds", "2"),
        "export": ("export", finished.student),
        "predict": ("predict", finished.student, image),
        "report": ("report", finished.student),
    }

    def work() -> Answer:
        limited("NOFILE", handles)
        return kd(*lines[command])

    answer = apart(work)
    assert_documented(answer, *([0] if handles == 64 else [0, 3, 6]))
    assert answer.code == 0 or "ulimit -n" in answer.err


@pytest.mark.parametrize("command", ["list", "train"])
def test_no_open_files_left(command, small, pictures):
    """Row 24."""
    lines = {"list": ("list", "runs"), "train": ("train", TEACHER, "--data", pictures)}

    def work() -> Answer:
        limited("NOFILE", 6)
        return kd(*lines[command])

    answer = apart(work)
    assert_documented(answer, 0, 3, 6)
    assert answer.code == 0 or "ulimit -n" in answer.err


# Nowhere to write (row 45) -----------------------------------------------------------------------


@pytest.fixture
def no_scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither TMPDIR nor /tmp, /var/tmp, /usr/tmp nor this folder."""
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/nowhere"])
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.mark.usefixtures("no_scratch")
def test_no_folder_for_scratch_files(small, pictures):
    """Row 45: what needs none works, an export says what it lacks."""
    run = small.student
    kd_ok(*on_pictures(pictures), "--seed", "1")
    kd_ok("list", "runs")
    answer = kd("export", run)
    assert_documented(answer, 6)
    assert "TMPDIR=FOLDER" in answer.err
    assert not (run / "export").exists()


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No HOME, and a user without an entry in the system's list."""
    import pwd

    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("KD_CACHE", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr("kdcli.core.files.HOMELESS", Path("/proc/nobody"))


@pytest.mark.usefixtures("nameless")
def test_no_home(small, pictures):
    """Row 45: nothing is kept between runs, and all else works."""
    kd_ok(*on_pictures(pictures), "--seed", "1")
    kd_ok("list", "runs")
    kd_ok("doctor")
    answer = kd("train", TEACHER, "--data", "~/pictures")
    assert_documented(answer, 2)
    assert "no home folder" in answer.err


@pytest.mark.attack
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root becomes others")
def test_a_user_without_a_name(small, pictures):
    """Row 45: as `docker run --user 12345`."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o777)

        def work() -> Answer:
            os.chdir(folder)
            for name in ("HOME", "KD_CACHE", "USER", "LOGNAME"):
                os.environ.pop(name, None)
            os.environ |= {"KD_RUNS": f"{folder}/runs", "TMPDIR": folder}
            tempfile.tempdir = None
            os.setgid(12345)
            os.setuid(12345)
            answer = kd("train", TEACHER, "--set", "train.epochs=1", "--set", "data.subset=0.1")
            return answer if answer.code else kd("list", "runs")

        assert_documented(apart(work), 0)


# Names (2.9) -------------------------------------------------------------------------------------

WITH_LONG_NAMES: dict[str, tuple[Line, tuple[int, ...]]] = {
    "teacher": (("distill", "--teacher", LONG, "--student", TEACHER), (2,)),
    "student": (("distill", "--teacher", TEACHER, "--student", LONG), (2,)),
    "weights": (("train", f"{TEACHER}={LONG}"), (2,)),
    "folder": (("train", f"local-dir:{LONG}"), (2,)),
    "hub": (("train", f"hf-hub:{LONG}"), (2,)),
    "data": (("train", TEACHER, "--data", LONG), (2, 3)),
    "out": (("train", TEACHER, "--out", LONG), (2,)),
    "out below": (("train", TEACHER, "--out", f"{LONG}/x"), (2,)),
    "recipe": (("train", TEACHER, "--recipe", f"{LONG}.yaml"), (2,)),
    "classes": (("train", TEACHER, "--set", f"teacher.recipe={LONG}"), (2,)),
    "evaluate": (("evaluate", LONG), (2,)),
    "test": (("evaluate", "--test", LONG), (2, 3)),
    "moved": (("evaluate", "--data", LONG), (2, 3)),
    "against": (("evaluate", "--against", LONG), (2,)),
    "junit": (("evaluate", "--junit", f"{LONG}.xml"), (2,)),
    "export": (("export", LONG), (2,)),
    "export out": (("export", "--out", f"{LONG}.onnx"), (2,)),
    "measured": (("export", "--measured", LONG), (2,)),
    "compare": (("compare", LONG, f"{LONG}x"), (2,)),
    "predict": (("predict", LONG, "x.png"), (2,)),
    "report": (("report", LONG), (2,)),
    "report out": (("report", "--out", f"{LONG}.html"), (2,)),
    "sweep": (("sweep", LONG), (2,)),
    "doctor": (("doctor", LONG), (2, 3)),
    "inspect": (("inspect", LONG), (2,)),
    "match": (("match", "--teacher", LONG, "--student", TEACHER), (2,)),
    "check": (("recipe", "check", f"{LONG}.yaml"), (2,)),
}


@pytest.mark.parametrize(("line", "codes"), WITH_LONG_NAMES.values(), ids=WITH_LONG_NAMES.keys())
def test_a_name_longer_than_any_file_has(line, codes, small):
    """Row 30."""
    answer = kd(*line)
    assert_documented(answer, *codes)
    assert "disk answers" not in answer.err


def test_a_table_with_a_name_longer_than_any_file_has(tmp_path, empty_house):
    """Row 30."""
    table = tmp_path / "table.csv"
    table.write_text("image,label\n" + "".join(f"{LONG}{i}.png,{i % 2}\n" for i in range(20)))
    answer = kd("train", TEACHER, "--data", table)
    assert_documented(answer, 3)
    assert "disk answers" not in answer.err


def test_a_name_that_rich_takes_for_an_emoji(small, monkeypatch, tmp_path):
    """Row 30: what is printed can be typed."""
    odd = small.path.rename(tmp_path / "a :x: b")
    monkeypatch.setenv("KD_RUNS", str(odd))
    assert str(odd) in kd_ok("list", "runs").out
    assert ":x:" in kd("evaluate", ":x:").err


# Terminals and streams (row 45) ------------------------------------------------------------------


@pytest.mark.attack
@pytest.mark.parametrize("columns", ["1", "20", "-5", "99999999"])
@pytest.mark.parametrize(
    "words", ["list runs", "list methods", "report", "evaluate", "recipe show kd"]
)
def test_a_terminal_of_any_width(words, columns, finished, monkeypatch):
    """Row 45."""
    monkeypatch.setenv("COLUMNS", columns)
    assert_documented(kd(*words.split()), 0)


@pytest.mark.attack
@pytest.mark.parametrize(
    ("streams", "codes"),
    [
        ("<&-", (0,)),
        (">&-", (0,)),
        ("2>&-", (0,)),
        ("<&- >&- 2>&-", (0,)),
        (">/dev/full", (0, 6)),
        ("2>/dev/full", (0,)),
        (">/dev/full 2>&1", (0, 6)),
    ],
)
@pytest.mark.parametrize("words", ["list runs --json", "train {} --data {} --set train.epochs=1"])
def test_streams_that_lead_nowhere(words, streams, codes, small, pictures):
    """Row 45: the work is done whoever listens; what was to be printed may be lost aloud."""
    line = words.format(TEACHER, shlex.quote(str(pictures)))
    shell = f"{shlex.quote(sys.executable)} -m kdcli {line} {streams}"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=300)
    assert done.returncode in codes, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    if "train" in words:
        assert [(run / "model.pt").is_file() for run in small.runs()] == [True] * 3
