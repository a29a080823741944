"""`kd list runs --prune`: what nobody needs, and nothing else, goes after it was shown."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from house import House, kd, kd_ok

from kdcli.core.files import atomic, sha256
from kdcli.core.host_lock import HOLDER
from kdcli.core.lock import lock
from kdcli.recipe.edit import fill_auto, update
from kdcli.recipe.schema import Recipe
from kdcli.runs.baseline import baseline_of
from kdcli.runs.inventory import Folder, inventory
from kdcli.runs.prune import Disposable, disposable, expected, remove
from kdcli.runs.run import RunFile
from kdcli.runs.spec import DataRef, Spec, TeacherRef, with_seed

AUTO: dict[str, Any] = {
    "data.image_size": 32,
    "data.augment": "shift",
    "train.epochs": 20,
    "train.batch_size": 32,
    "train.lr": 3e-3,
    "train.patience": None,
    "student.pretrained": False,
    "student.precision": "fp32",
    "teacher.pretrained": False,
    "teacher.precision": "fp32",
}
RECIPE = fill_auto(Recipe(), AUTO)
TAUGHT = update(RECIPE, {"methods.kd": {"weight": 0.9, "temperature": 4.0}})
DIGITS = DataRef(name="digits", location=None, identity={"kind": "digits", "seed": 0})
TEACHER = Spec(
    role="teacher", model="resnet101", data=DIGITS, recipe_name="supervised", recipe=RECIPE
)
STUDENT = Spec(
    role="student",
    model="mobilenetv3_small_100",
    data=DIGITS,
    recipe_name="kd",
    recipe=TAUGHT,
    teachers=(TeacherRef(model="resnet101", spec=TEACHER),),
)
BASELINE = baseline_of(STUDENT)
GIVEN = STUDENT.model_copy(
    update={"teachers": (TeacherRef(model="resnet50", path="/r/given-a-b/model.pt", sha256="ab"),)}
)
DONE = {"run.yaml": 10, "metrics.jsonl": 5, "model.pt": 1000}
BEGUN = {"run.yaml": 10, "metrics.jsonl": 5, "state.pt": 3000}


def folder(
    name: str,
    spec: Spec | None = None,
    *,
    asked: bool = False,
    sizes: dict[str, int] = DONE,
    in_use: bool = False,
) -> Folder:
    """A folder as `inventory` would have read it."""
    file = spec and RunFile(asked=asked, digest=spec.digest, spec=spec, versions={}, started="")
    return Folder(Path("/r") / name, file, dict(sizes), in_use, 0.0)


def gone(*folders: Folder) -> dict[str, str]:
    """What would go, by its path under /r, and why."""
    return {item.path.relative_to("/r").as_posix(): item.why for item in disposable([*folders])}


# The decision, which is pure ---------------------------------------------------------------------


def test_what_a_person_asked_for_stays_finished_or_not() -> None:
    assert gone(
        folder("a", TEACHER, asked=True),
        folder("b", STUDENT, asked=True, sizes=BEGUN),
        folder("c", with_seed(BASELINE, 7), asked=True),
    ) == {}  # fmt: skip


def test_what_it_needs_stays() -> None:
    student = folder("student", STUDENT, asked=True)
    assert gone(student, folder("teacher", TEACHER), folder("baseline", BASELINE)) == {}


def test_what_an_unfinished_run_needs_stays() -> None:
    """The same command goes on from there; its needs.json may not be written yet."""
    student = folder("student", STUDENT, asked=True, sizes={"run.yaml": 10})
    assert gone(student, folder("teacher", TEACHER, sizes=BEGUN)) == {}


def test_what_nobody_needs_goes_with_the_reason() -> None:
    other = update(RECIPE, {"train.epochs": 3})
    assert gone(
        folder("student", STUDENT, asked=True),
        folder("teacher", TEACHER.model_copy(update={"recipe": other})),
        folder("baseline", BASELINE.model_copy(update={"recipe": other}), sizes=BEGUN),
    ) == {
        "teacher": "a teacher that nobody asked for and no run here needs",
        "baseline": "an unfinished baseline that nobody asked for and no run here needs, "
        "untouched for 7 days",
    }


def test_what_was_interrupted_lately_stays_with_what_it_needs() -> None:
    """`kd distill` was told that the same command goes on from there; its student is not begun."""
    teacher = folder("teacher", TEACHER, sizes=BEGUN)
    now = time.time()
    assert gone(replace(teacher, changed=now)) == {}
    assert list(gone(replace(teacher, changed=now - 8 * 86400))) == ["teacher"]
    second = replace(folder("seed1", with_seed(STUDENT, 1), sizes=BEGUN), changed=now)
    assert gone(second, folder("teacher", TEACHER)) == {}
    without_state = folder("baseline", BASELINE, sizes={"run.yaml": 10})
    assert list(gone(replace(without_state, changed=now))) == ["baseline"]


def test_teachers_that_were_finished_lately_stay_for_their_student() -> None:
    """Ctrl-C between two of many teachers: the student's run.yaml comes after the last."""
    now = time.time()
    members = [replace(folder(f"m{i}", with_seed(TEACHER, i)), changed=now) for i in (0, 1)]
    assistant = STUDENT.model_copy(update={"role": "assistant"})
    lately = [*members, replace(folder("assistant", assistant), changed=now)]
    assert gone(*lately) == {}
    assert expected(lately) == lately
    assert list(gone(*(replace(one, changed=now - 8 * 86400) for one in members))) == ["m0", "m1"]
    second = replace(folder("seed1", with_seed(STUDENT, 1)), changed=now)
    assert list(gone(second)) == ["seed1"], "no other run is made from it"


def test_what_a_run_needs_is_not_kept_for_its_age() -> None:
    lately = replace(folder("teacher", TEACHER), changed=time.time())
    assert expected([lately, folder("student", STUDENT, asked=True)]) == []


def test_what_teachers_answered_goes_when_their_student_is_finished() -> None:
    answers = {"transfer.npz": 4000}
    assert gone(
        folder("a", STUDENT, asked=True, sizes=DONE | answers),
        folder("b", with_seed(STUDENT, 1), asked=True, sizes=BEGUN | answers),
    ) == {"a/transfer.npz": "what teachers answered to a student that is finished"}


def test_stored_answers_stay_with_a_run_that_learnt_from_them(
    empty_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KD_RUNS", "/r")
    stores = [folder(f"answers/t-{i}", sizes={"0000.00000.safetensors": 9}) for i in (0, 1)]
    student = folder("student", STUDENT, asked=True)
    assert student.file is not None
    known = replace(student, file=student.file.model_copy(update={"answers": ("t-0",)}))
    why = "teachers' answers that no run here needs"
    assert gone(known, folder("teacher", TEACHER), *stores) == {"answers/t-1": why}
    assert gone(known, folder("t", TEACHER), replace(stores[1], in_use=True)) == {}
    assert list(gone(*stores)) == ["answers/t-0", "answers/t-1"]


def test_a_store_that_nobody_needs_goes_and_a_persons_file_stays(empty_house: House) -> None:
    store = empty_house.path / "answers" / "t-0"
    store.mkdir(parents=True)
    for name in ("manifest.json", "standing.json", "0000.00000.safetensors", "mine.txt"):
        (store / name).write_text("x")
    assert [one.role for one in inventory()] == ["answers"]
    assert kd_ok("list", "runs", "--json").document["answers"][0]["used_by"] == []
    assert "used by 0 runs" in kd_ok("list", "runs").out
    kd_ok("list", "runs", "--prune", "--yes")
    assert [file.name for file in store.iterdir() if file.name != ".lock"] == ["mine.txt"]


def test_when_the_student_is_gone_all_that_came_with_it_goes() -> None:
    alone = [
        folder("teacher", TEACHER),
        folder("baseline", BASELINE),
        folder("seed1", with_seed(STUDENT, 1)),
        folder("baseline1", with_seed(BASELINE, 1)),
    ]
    assert list(gone(*alone)) == ["teacher", "baseline", "seed1", "baseline1"]


def test_further_seeds_and_their_baselines_stay_with_the_first() -> None:
    assert gone(
        folder("student", STUDENT, asked=True),
        folder("teacher", TEACHER),
        folder("seed1", with_seed(STUDENT, 1)),
        folder("baseline1", with_seed(BASELINE, 1)),
        folder("seed2", with_seed(STUDENT, 2), sizes=BEGUN),
    ) == {}  # fmt: skip
    assert list(
        gone(folder("student", STUDENT, asked=True), folder("b5", with_seed(BASELINE, 5)))
    ) == ["b5"], "no student of that seed"


def test_a_chain_of_teachers_stays_to_its_end() -> None:
    assistant = STUDENT.model_copy(update={"model": "resnet18"})
    small = STUDENT.model_copy(
        update={"teachers": (TeacherRef(model="resnet18", spec=assistant),), "seed": 3}
    )
    rest = [folder("assistant", assistant), folder("teacher", TEACHER)]
    assert gone(folder("small", small, asked=True), *rest) == {}
    assert list(gone(*rest)) == ["assistant", "teacher"]


def test_adopted_teachers_go_when_no_run_needs_them() -> None:
    given = folder("given-a-b", sizes={"model.pt": 1000})
    assert gone(given) == {"given-a-b": "an adopted teacher that no run here needs"}
    assert gone(given, folder("student", STUDENT, asked=True)) != {}
    assert gone(given, folder("student", GIVEN, asked=True)) == {}


@pytest.mark.parametrize("name", ["model.exit_1.pt", "model.peer_1.pt", "model.fused.pt"])
def test_another_model_of_a_run_that_teaches_keeps_the_run(name: str) -> None:
    above = folder("above", TEACHER, sizes=DONE | {name: 5})
    ref = TeacherRef(model="m", path=f"/r/above/{name}", sha256="0")
    student = folder("student", GIVEN.model_copy(update={"teachers": (ref,)}), asked=True)
    assert gone(above, student) == {}
    assert "above" in gone(folder("above", TEACHER), student), "it is not that file's run"


def test_a_model_that_was_exported_or_measured_was_asked_for() -> None:
    for name in ("export", "timm", "timm.peer_1"):
        assert gone(folder("teacher", TEACHER, sizes=DONE | {name: 5})) == {}
    assert gone(folder("teacher", TEACHER, sizes=DONE | {"model.exit_1.report.json": 5})) == {}
    assert gone(folder("teacher", TEACHER, sizes=DONE | {"report.json": 5})) == {}
    assert gone(folder("given-a-b", sizes={"model.pt": 9, "export": 5})) == {}


def test_resume_states_of_finished_runs_go_others_stay() -> None:
    finished = folder("a", TEACHER, asked=True, sizes=DONE | {"state.pt": 3000})
    unfinished = folder("b", STUDENT, asked=True, sizes=BEGUN)
    assert disposable([finished, unfinished]) == [
        Disposable(Path("/r/a/state.pt"), 3000, "resume state of a finished run")
    ]


def test_half_written_files_go_wherever_they_lie() -> None:
    left = {".state.pt.4711.tmp": 99}
    assert gone(
        folder("a", TEACHER, asked=True, sizes=BEGUN | left),
        folder("b", sizes=left),
        folder("c", sizes={}),
    ) == {
        "a/.state.pt.4711.tmp": "half-written by a kd that was killed",
        "b": "a start that came to nothing",
        "c": "a start that came to nothing",
    }


def test_a_folder_that_goes_is_counted_once() -> None:
    (item,) = disposable([folder("a", TEACHER, sizes=DONE | {"state.pt": 3000, ".x.1.tmp": 5})])
    assert (item.path, item.bytes) == (Path("/r/a"), 4020)


def test_what_cannot_be_read_stays_and_so_does_what_it_needs() -> None:
    """A newer kd may have written it."""
    assert gone(folder("a", sizes=DONE), folder("teacher", TEACHER)) == {
        "teacher": "a teacher that nobody asked for and no run here needs"
    }


def test_while_another_kd_works_no_folder_goes_and_its_own_is_left_alone() -> None:
    """A chain trains its second teacher: the first is finished, and its student not yet there."""
    assert gone(
        folder("first", TEACHER),
        folder("second", with_seed(TEACHER, 1), sizes=BEGUN | {".x.1.tmp": 5}, in_use=True),
        folder("third", with_seed(TEACHER, 2), asked=True, sizes=DONE | {"state.pt": 3000}),
    ) == {"third/state.pt": "resume state of a finished run"}
    assert list(gone(folder("first", TEACHER), folder("starting", sizes={}, in_use=True))) == []


def test_nothing_comes_of_nothing() -> None:
    assert disposable([]) == []


# On disk -----------------------------------------------------------------------------------------


@pytest.fixture
def orphans(finished: House) -> House:
    """A student's teacher and baseline of long ago, without the student."""
    shutil.rmtree(finished.student)
    for run in finished.runs():
        os.utime(run / "model.pt", (0, 0))
    return finished


def _everything(path: Path) -> dict[str, str]:
    return {str(f): sha256(f) for f in sorted(path.rglob("*")) if f.is_file() and f.name != ".lock"}


def test_a_finished_house_has_nothing_to_clear(finished: House) -> None:
    before = _everything(finished.path)
    answer = kd_ok("list", "runs", "--prune", "--yes")
    assert "nothing to remove" in answer.out
    assert _everything(finished.path) == before


def test_what_stays_for_a_run_to_come_is_said(orphans: House) -> None:
    os.utime(orphans.teacher / "model.pt")
    answer = kd_ok("list", "runs", "--prune")
    assert f"{orphans.teacher}: made in the last 7 days, maybe for a run that is" in answer.err
    assert str(orphans.teacher) not in answer.out
    assert str(orphans.run("baseline-")) in answer.out


def test_it_is_shown_and_stays_where_nobody_can_be_asked(orphans: House) -> None:
    before = _everything(orphans.path)
    answer = kd_ok("list", "runs", "--prune")
    for run in orphans.runs():
        (row,) = [line for line in answer.out.splitlines() if str(run) in line]
        assert "no run here needs" in row
        assert "kB" in row or "MB" in row
    assert "nobody here to ask: nothing was removed" in answer.out
    assert "--yes" in answer.out
    assert _everything(orphans.path) == before


def test_with_yes_it_goes(orphans: House) -> None:
    runs = orphans.runs()
    answer = kd_ok("list", "runs", "--prune", "--yes")
    assert "removed: 2, " in answer.out
    assert [str(run) in answer.out for run in runs] == [True, True]
    assert list(orphans.path.iterdir()) == []


@pytest.mark.parametrize("yes", [False, True])
def test_with_json_the_document_lists_it(yes: bool, orphans: House) -> None:
    runs = orphans.runs()
    document = kd_ok("list", "runs", "--prune", "--json", *(["--yes"] if yes else [])).document
    prune = document["prune"]
    assert document["schema"] == 1
    assert prune["done"] is yes
    assert {item["path"] for item in prune["items"]} == {str(run) for run in runs}
    assert all(item["removed"] is yes for item in prune["items"])
    assert prune["bytes"] == sum(item["bytes"] for item in prune["items"]) > 100_000
    assert [run.exists() for run in runs] == [not yes, not yes]


@pytest.mark.parametrize(
    ("answer", "stays"), [("y", False), ("yes", False), ("", True), ("n", True)]
)
def test_a_person_is_asked(
    answer: str, stays: bool, orphans: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def confirm(_: Any, question: str) -> bool:
        asked.append(question)
        return answer in ("y", "yes")

    monkeypatch.setattr("kdcli.cli.console.Console.confirm", confirm)
    runs = orphans.runs()
    out = kd_ok("list", "runs", "--prune").out
    assert asked == ["Remove all of this?"]
    assert [run.exists() for run in runs] == [stays, stays]
    assert ("nothing was removed" in out) == stays


def test_a_persons_own_files_stay(orphans: House) -> None:
    notes = orphans.teacher / "my notes.txt"
    notes.write_text("mine")
    (orphans.teacher / "own").mkdir()
    answer = kd_ok("list", "runs", "--prune", "--yes")
    assert (
        f"{orphans.path / notes.parent.name}: kd's files are gone; those that are not" in answer.out
    )
    assert notes.read_text() == "mine"
    assert {f.name for f in notes.parent.iterdir()} <= {"my notes.txt", "own", ".lock"}


def test_folders_that_are_not_runs_are_never_touched(orphans: House, tmp_path: Path) -> None:
    for name in ("photos", "given-photos", "empty"):
        (orphans.path / name).mkdir()
    (orphans.path / "photos" / "model.pt").write_text("mine")
    (orphans.path / "given-photos" / "a.jpg").write_text("mine")
    (orphans.path / "letter.txt").write_text("mine")
    kd_ok("list", "runs", "--prune", "--yes")
    assert sorted(f.name for f in orphans.path.rglob("*")) == [
        "a.jpg",
        "empty",
        "given-photos",
        "letter.txt",
        "model.pt",
        "photos",
    ]


def test_a_state_of_a_finished_run_goes_alone(finished: House) -> None:
    before = _everything(finished.path)
    (finished.student / "state.pt").write_bytes(bytes(5000))
    left = finished.student / ".report.json.4711.tmp"
    left.write_bytes(bytes(70))
    os.utime(left, (0, 0))
    (finished.student / ".bashrc.tmp").write_text("mine")
    items = disposable(inventory())
    assert sorted(item.bytes for item in items) == [70, 5000]
    assert list(remove(items)) == items
    mine = {str(finished.student / ".bashrc.tmp"): sha256(finished.student / ".bashrc.tmp")}
    assert _everything(finished.path) == before | mine


def test_links_are_removed_not_followed(orphans: House, tmp_path: Path) -> None:
    precious = tmp_path / "precious.pt"
    shutil.move(orphans.teacher / "model.pt", precious)
    (orphans.teacher / "model.pt").symlink_to(precious)
    kd_ok("list", "runs", "--prune", "--yes")
    assert precious.stat().st_size > 1000


def test_what_is_needed_by_the_time_of_the_answer_stays(finished: House) -> None:
    """The person thinks it over, and starts a run meanwhile."""
    student = finished.student
    for run in finished.runs():
        os.utime(run / "model.pt", (0, 0))
    away = finished.path.parent / "away"
    shutil.move(student, away)
    items = disposable(inventory())
    assert len(items) == 2
    shutil.move(away, student)
    assert list(remove(items)) == []
    assert len(finished.runs()) == 3


@pytest.fixture
def busy(orphans: House) -> Iterator[House]:
    """Another kd works in the teacher's folder."""
    done, held = threading.Event(), threading.Event()

    def work() -> None:
        with lock(orphans.teacher):
            held.set()
            done.wait(60)

    other = threading.Thread(target=work)
    other.start()
    held.wait(60)
    yield orphans
    done.set()
    other.join()


def test_a_folder_in_use_is_named_and_nothing_goes(busy: House) -> None:
    answer = kd_ok("list", "runs", "--prune", "--yes")
    assert f"{busy.teacher}: another kd is working in it; until it is done, runs stay" in answer.err
    assert len(busy.runs()) == 2
    (row,) = [line for line in kd_ok("list", "runs").out.splitlines() if busy.teacher.name in line]
    assert "in use" in row


def test_a_file_that_is_just_being_written_stays_and_so_does_its_folder(orphans: House) -> None:
    """Whoever adopts a teacher takes no lock, and another machine's may not reach here."""
    given = orphans.path / "given-resnet50-digits-12345678"
    with atomic(given / "model.pt") as new:
        new.write_bytes(bytes(100))
        answer = kd_ok("list", "runs", "--prune", "--yes")
        assert f"{given}: another kd is working in it; until it is done, runs stay" in answer.err
        assert len(orphans.runs()) == 2
    assert (given / "model.pt").stat().st_size == 100


def test_what_a_killed_kd_left_goes_with_its_run(orphans: House) -> None:
    for name in (".model.pt.4711.tmp", ".state.pt.1-00000000-00000000.tmp"):
        (orphans.teacher / name).touch()
        os.utime(orphans.teacher / name, (0, 0))
    kd_ok("list", "runs", "--prune", "--yes")
    assert list(orphans.path.iterdir()) == []


def test_what_another_host_works_in_stays_until_it_is_dead(orphans: House) -> None:
    begun = orphans.path / "begun"
    begun.mkdir()
    for run in (orphans.teacher, begun):
        (run / ".lock").touch()
        (run / HOLDER).write_text('{"host": "b", "boot": "b", "pid": 1, "token": "b"}')
    (begun / "..holder.former.1-00000000-00000000.tmp").write_text("old")
    answer = kd_ok("list", "runs", "--prune", "--yes")
    assert f"{orphans.teacher}: another kd is working in it; until it is" in answer.err
    assert len(orphans.runs()) == 2
    for left in orphans.path.glob("*/.*holder*"):
        os.utime(left, (0, 0))
    kd_ok("list", "runs", "--prune", "--yes")
    assert list(orphans.path.iterdir()) == []


def test_looking_makes_no_files(orphans: House) -> None:
    for run in orphans.runs():
        (run / ".lock").unlink()
    before = sorted(orphans.path.rglob("*"))
    kd_ok("list", "runs")
    assert sorted(orphans.path.rglob("*")) == before


def test_a_disk_that_refuses_is_told(orphans: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    answer = kd("list", "runs", "--prune", "--yes")
    assert answer.code == 6
    assert "Permission denied" in answer.err


# The inventory -----------------------------------------------------------------------------------


def test_the_inventory_tells_each_folder(finished: House) -> None:
    shutil.copytree(finished.teacher, finished.path / "z-unreadable")
    (finished.path / "z-unreadable" / "run.yaml").write_text("asked: [")
    given = finished.path / "given-resnet50-digits-12345678"
    given.mkdir()
    shutil.copy(finished.teacher / "model.pt", given)
    (finished.path / "killed").mkdir()
    (finished.path / "killed" / ".run.yaml.4711.tmp").write_text("asked:")
    os.utime(finished.path / "killed" / ".run.yaml.4711.tmp", (0, 0))
    (finished.student / "model.pt").unlink()
    found = {f.path.name.split("-")[0]: f for f in inventory()}
    assert {name: (f.role, f.state, f.asked) for name, f in found.items()} == {
        "teacher": ("teacher", "finished", False),
        "baseline": ("baseline", "finished", False),
        "kd": ("student", "unfinished", True),
        "z": ("unknown", "unreadable", False),
        "given": ("given", "given", False),
        "killed": ("unknown", "empty", False),
    }
    teacher = found["teacher"]
    assert teacher.bytes == sum(
        f.stat().st_size for f in teacher.path.iterdir() if f.name != ".lock"
    )
    assert found["kd"].needs == {(teacher.path / "model.pt").resolve()}


def test_a_run_that_cannot_be_read_is_not_what_comes_next(finished: House) -> None:
    shutil.copytree(finished.student, finished.path / "kd-zz")
    assert f"kd evaluate {finished.path / 'kd-zz'}" in kd_ok("list", "runs").out
    (finished.path / "kd-zz" / "run.yaml").write_text("")
    (line,) = [line for line in kd_ok("list", "runs").out.splitlines() if "kd evaluate" in line]
    assert "kd-zz" not in line


def test_a_folder_that_may_not_be_read_hides_no_other(
    finished: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path == finished.teacher:
            raise PermissionError(13, "Permission denied")
        return real(path)

    teacher = finished.teacher
    monkeypatch.setattr(Path, "iterdir", iterdir)
    found = {folder.path: folder for folder in inventory()}
    assert (len(found), found[teacher].state) == (3, "unreadable")
    assert f"{teacher}: may not be read" in kd_ok("list", "runs").err
    assert disposable([*found.values(), folder("orphan", TEACHER)]) == []


def test_no_runs_folder_is_an_empty_one(empty_house: House) -> None:
    assert inventory() == []
    assert "nothing to remove" in kd_ok("list", "runs", "--prune").out
    assert not empty_house.path.exists()
