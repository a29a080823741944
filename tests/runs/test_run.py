"""Run folders: the digest, whole files only, and what RUN on the command line means."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from kdcli.core.errors import DamagedFile, DataError, UsageError
from kdcli.core.progress import Silent
from kdcli.recipe.edit import fill_auto, update
from kdcli.recipe.schema import Recipe
from kdcli.runs.find import all_runs, find, runs_root
from kdcli.runs.locate import locate, newest
from kdcli.runs.names import folder_name, slug
from kdcli.runs.run import Run, begin, note
from kdcli.runs.spec import DataRef, Spec, TeacherRef
from kdcli.runs.versions import versions

AUTO = {
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
RECIPE = update(
    fill_auto(Recipe(), AUTO), {"methods.kd": {"weight": 0.9, "temperature": 4.0}, "task.weight": 1}
)
DIGITS = DataRef(name="digits", location=None, identity={"kind": "digits", "seed": 0})
TEACHER = Spec(
    role="teacher", model="resnet101", data=DIGITS, recipe_name="supervised", recipe=RECIPE
)
SPEC = Spec(
    role="student",
    model="mobilenetv3_small_100",
    data=DIGITS,
    recipe_name="kd",
    recipe=RECIPE,
    teachers=(TeacherRef(model="resnet101", spec=TEACHER),),
)


def with_recipe(spec=SPEC, **values):
    changed = {k.replace("__", "."): v for k, v in values.items()}
    return spec.model_copy(update={"recipe": update(spec.recipe, changed)})


def taught_by(**changes):
    teacher = TeacherRef(model="resnet101", spec=TEACHER.model_copy(update=changes))
    return SPEC.model_copy(update={"teachers": (teacher,)})


def fresh(spec):
    """Read back, as a run's own spec is."""
    return Spec.model_validate(spec.model_dump(mode="json", by_alias=True))


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """An empty folder to stand in, with `runs/` as kd would make it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KD_RUNS", raising=False)
    return tmp_path


def make(path, spec=SPEC, asked=True, finished=True, age=0.0):
    """A run folder; finished `age` seconds ago."""
    run = begin(Path(path), spec, asked, {"kdcli": "0"})
    if finished:
        run.model.write_bytes(b"weights")
        then = time.time() - age
        os.utime(run.model, (then, then))
    return run


# The digest --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        SPEC.model_copy(update={"model": "mobilenetv3_large_100"}),
        SPEC.model_copy(update={"seed": 1}),
        SPEC.model_copy(update={"role": "teacher"}),
        SPEC.model_copy(
            update={"data": DIGITS.model_copy(update={"identity": {"kind": "digits", "seed": 1}})}
        ),
        with_recipe(scheme__name="alone"),
        with_recipe(task__weight=0.5),
        with_recipe(task__label_smoothing=0.1),
        with_recipe(methods__kd__weight=0.8),
        with_recipe(methods__kd__temperature=8.0),
        with_recipe(methods={}),
        with_recipe(student__pretrained=True),
        with_recipe(student__stem_stride=1),
        with_recipe(student__precision="bf16"),
        with_recipe(data__image_size=64),
        with_recipe(data__augment=None),
        with_recipe(train__epochs=21),
        with_recipe(train__batch_size=64),
        with_recipe(train__optimizer="sgd"),
        with_recipe(train__lr=1e-3),
        with_recipe(train__weight_decay=0.0),
        with_recipe(train__warmup=None),
        with_recipe(train__clip=None),
        with_recipe(train__patience=3),
        with_recipe(train__until={"accuracy": 0.9}),
        with_recipe(teacher__precision="bf16"),
        taught_by(model="resnet50"),
        taught_by(seed=1),
        taught_by(recipe=update(RECIPE, {"train.epochs": 7})),
        SPEC.model_copy(update={"teachers": ()}),
        SPEC.model_copy(update={"teachers": SPEC.teachers * 2}),
        SPEC.model_copy(
            update={"teachers": (TeacherRef(model="resnet101", path="t.pt", sha256="ab"),)}
        ),
    ],
)
def test_the_digest_changes_with_whatever_changes_the_weights(changed):
    assert fresh(changed).digest != fresh(SPEC).digest


@pytest.mark.parametrize(
    "changed",
    [
        with_recipe(evaluate__size_priority=0.9),
        with_recipe(evaluate__margin=0.05),
        with_recipe(teacher__allow_weak=True),
        with_recipe(teacher__seed=3),  # counts by the teacher's own spec
        with_recipe(teacher__pretrained=True),
        with_recipe(who={"teacher": "resnet18"}),
        SPEC.model_copy(update={"recipe_name": "mine"}),
        SPEC.model_copy(update={"role": "baseline"}),
        SPEC.model_copy(
            update={"data": DIGITS.model_copy(update={"location": "/x", "name": "other"})}
        ),
        taught_by(recipe_name="other"),
        taught_by(data=DIGITS.model_copy(update={"location": "/elsewhere"})),
    ],
)
def test_the_digest_changes_with_nothing_else(changed):
    assert fresh(changed).digest == fresh(SPEC).digest


def test_a_given_teacher_counts_by_its_bytes():
    def given(path, sha):
        ref = TeacherRef(model="resnet101", path=path, sha256=sha)
        return fresh(SPEC.model_copy(update={"teachers": (ref,)})).digest

    assert given("a.pt", "1") == given("b.pt", "1")
    assert given("a.pt", "1") != given("a.pt", "2")


def test_trainings_that_differ_in_their_seeds_alone_are_of_a_kind():
    later = SPEC.model_copy(update={"seed": 3}).alike(3)
    assert [one.seed for one in later] == [3, 4, 5]
    assert {one.kind for one in later} == {SPEC.kind}
    assert len({one.digest for one in later}) == 3
    other = SPEC.model_copy(update={"model": "resnet18"})
    assert other.kind != SPEC.kind


def test_a_changed_copy_has_its_own_digest():
    spec = fresh(SPEC)
    assert spec.digest
    for changed in (spec.model_copy(update={"seed": 1}), spec.model_copy(update={"teachers": ()})):
        assert changed.digest == fresh(changed).digest != spec.digest


def test_the_order_of_keys_changes_no_digest():
    identity = {"seed": 0, "kind": "digits"}
    data = DIGITS.model_copy(update={"identity": identity})
    assert fresh(SPEC.model_copy(update={"data": data})).digest == fresh(SPEC).digest


def test_the_digest_is_the_same_in_another_process():
    assert len(SPEC.digest) == 8
    assert int(SPEC.digest, 16) >= 0
    code = (
        "import sys, json; from kdcli.runs.run import Spec; "
        "print(Spec.model_validate(json.load(sys.stdin)).digest)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(SPEC.model_dump(mode="json", by_alias=True)),
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7"},
    )
    assert done.stdout.strip() == SPEC.digest


# Folder names ------------------------------------------------------------------------------------


def test_folder_names_are_part_of_the_interface():
    digest = SPEC.digest
    assert SPEC.folder_name == f"kd-resnet101-mobilenetv3_small_100-digits-s0-{digest}"
    assert TEACHER.folder_name == f"teacher-resnet101-digits-s0-{TEACHER.digest}"
    baseline = fresh(SPEC.model_copy(update={"role": "baseline", "seed": 3, "teachers": ()}))
    assert baseline.folder_name == f"baseline-mobilenetv3_small_100-digits-s3-{baseline.digest}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resnet18.a1_in1k", "resnet18.a1_in1k"),
        ("my photos / 2024", "my_photos_2024"),
        ("../../etc", "etc"),
        ("a-b", "a_b"),
        ("Äpfel", "Äpfel"),
        ("...", "data"),
        ("", "data"),
    ],
)
def test_names_are_made_safe_for_folders(text, expected):
    assert slug(text) == expected


@pytest.mark.parametrize("word", ["猫" * 96, "x" * 300, "a" * 200])
def test_a_name_longer_than_a_file_system_takes_is_cut(word, tmp_path, monkeypatch):
    """96 characters of Japanese are 288 bytes."""
    for change in (
        {"recipe_name": word},
        {"data": DIGITS.model_copy(update={"name": word})},
        {"model": word, "recipe_name": word},
    ):
        spec = SPEC.model_copy(update=change)
        name = spec.folder_name
        assert len(name.encode()) <= 255
        assert name.endswith(f"-s0-{spec.digest}")
        monkeypatch.setenv("KD_RUNS", str(tmp_path))
        begin(tmp_path / name, spec, True, {})
        assert find(spec) == Run(tmp_path / name)


def test_only_the_longest_parts_are_cut():
    name = folder_name(["kd", "resnet101", "猫" * 96, "s0", "1a2b3c4d"])
    assert name.startswith("kd-resnet101-猫猫")
    assert 253 <= len(name.encode()) <= 255
    exact = ["x" * 243, "s0", "1a2b3c4d"]
    assert folder_name(exact) == "-".join(exact)


# run.yaml and metrics.jsonl ----------------------------------------------------------------------


def test_run_yaml_is_read_back_as_it_was_written():
    run = make("runs/a", asked=False, finished=False)
    file = run.file()
    assert (file.spec, file.digest, file.asked) == (SPEC, SPEC.digest, False)
    assert run.spec.recipe == RECIPE
    assert not run.finished
    note(run, asked=True)
    assert run.file().asked
    assert run.file().started == file.started


@pytest.mark.parametrize(
    "text", ["", "asked: [", "just words", "asked: true\n", "a: !!python/object:os.x {}", "\0"]
)
def test_a_broken_run_yaml_is_a_damaged_file(text):
    run = make("runs/a")
    (run.path / "run.yaml").write_text(text)
    with pytest.raises(DamagedFile) as caught:
        run.file()
    assert caught.value.code == 7
    assert "run.yaml: damaged, or written by another version" in caught.value.what
    assert "--again" in caught.value.fix


def test_a_binary_run_yaml_is_a_damaged_file():
    run = make("runs/a")
    (run.path / "run.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DamagedFile):
        run.file()


def test_a_run_yaml_of_a_newer_kd_is_refused_not_guessed():
    run = make("runs/a")
    with (run.path / "run.yaml").open("a") as file:
        file.write("colour: blue\n")
    with pytest.raises(DamagedFile, match="another version of kd"):
        run.file()


def test_a_folder_without_run_yaml_is_no_run(tmp_path):
    with pytest.raises(UsageError, match="not a run folder"):
        Run(tmp_path).file()


def test_a_torn_last_line_is_left_out():
    run = make("runs/a")
    assert run.lines() == []
    run.metrics.write_text('{"epoch": 1}\n{"epoch": 2}\n{"epoch": 3, "lo')
    assert run.lines() == [{"epoch": 1}, {"epoch": 2}]
    assert run.outcome() == {}


def test_the_outcome_is_the_closing_line_of_a_finished_run():
    run = make("runs/a", finished=False)
    run.metrics.write_text('{"epoch": 1}\n{"ended": "epochs", "epochs": 1}\n')
    assert run.outcome() == {}
    run.model.write_bytes(b"whole")
    assert run.outcome() == {"ended": "epochs", "epochs": 1}


# Finding runs ------------------------------------------------------------------------------------


def test_runs_lie_where_kd_runs_says(monkeypatch):
    assert runs_root() == Path("runs")
    monkeypatch.setenv("KD_RUNS", "/elsewhere")
    assert runs_root() == Path("/elsewhere")
    monkeypatch.setenv("KD_RUNS", "")
    assert runs_root() == Path("runs")


def test_a_run_is_found_by_what_it_was_made_from():
    assert find(SPEC) is None
    run = make(runs_root() / SPEC.folder_name, finished=False)
    assert find(SPEC) == run
    assert find(fresh(with_recipe(evaluate__margin=0.2))) == run
    assert find(fresh(with_recipe(train__epochs=3))) is None
    assert find(TEACHER) is None


def test_a_folder_that_only_bears_the_name_is_not_found():
    make(runs_root() / SPEC.folder_name, spec=TEACHER)
    (runs_root() / f"empty-{SPEC.digest}").mkdir()
    assert find(SPEC) is None


def test_the_newest_run_is_the_newest_finished_one_that_was_asked_for():
    assert newest() is None
    old = make("runs/old", age=500)
    new = make("runs/new", age=100)
    make("runs/prerequisite", asked=False, age=10)
    make("runs/unfinished", finished=False)
    assert newest() == new
    os.utime(old.model)
    assert newest() == old
    assert {r.path.name for r in all_runs()} == {"old", "new", "prerequisite", "unfinished"}


def test_one_damaged_run_does_not_hide_the_others():
    good, bad = make("runs/good", age=100), make("runs/bad", age=500)
    (bad.path / "run.yaml").write_text("asked: [")
    assert newest() == good


# locate ------------------------------------------------------------------------------------------


QUIET = None
"""A progress that would fail if it were told anything: what was given is what is meant."""


def test_a_run_folder_is_used_as_it_is():
    run = make("runs/a")
    for thing in ("runs/a", "runs/a/", str(Path("runs/a").resolve())):
        found = locate(thing, QUIET)
        assert (found.run.path.resolve(), found.model.name) == (run.path.resolve(), "model.pt")


def test_a_model_beside_its_run_yaml_knows_its_run():
    make("runs/a")
    found = locate("runs/a/model.pt", QUIET)
    assert (found.run, found.model) == (Run(Path("runs/a")), Path("runs/a/model.pt"))


def test_a_model_that_lies_alone_has_no_run():
    make("runs/a")
    Path("model.pt").write_bytes(b"mine")
    found = locate("model.pt", QUIET)
    assert (found.run, found.model) == (None, Path("model.pt"))


@pytest.mark.parametrize(
    ("age", "ago"), [(5, "5 s"), (130, "2 min"), (2 * 3600 + 5, "2 h"), (3 * 86400 + 5, "3 d")]
)
def test_a_bare_model_pt_means_the_newest_finished_run_and_says_so(age, ago):
    run = make("runs/a", age=age)
    said = []
    aloud = SimpleNamespace(say=said.append)
    found = locate("model.pt", aloud)
    assert (found.run, found.model) == (run, run.model)
    assert found == locate(None, aloud)
    assert said == [
        f"model.pt: none here, using runs/a/model.pt (finished {ago} ago)",
        f"no run given, using runs/a/model.pt (finished {ago} ago)",
    ]


def test_a_model_that_learnt_beside_it_is_one_and_other_files_are_none():
    run = make("runs/a")
    for name in ("model.fused.pt", "state.pt"):
        (run.path / name).touch()
    assert locate("runs/a/model.fused.pt", QUIET).model == Path("runs/a/model.fused.pt")
    with pytest.raises(UsageError, match=r"state.pt: one of a run's files"):
        locate("runs/a/state.pt", QUIET)


@pytest.mark.parametrize("thing", [None, "model.pt"])
def test_no_finished_run_says_how_to_make_one(thing):
    make("runs/unfinished", finished=False)
    make("runs/prerequisite", asked=False)
    with pytest.raises(UsageError) as caught:
        locate(thing, QUIET)
    assert caught.value.what == "no finished run under runs/"
    assert "kd distill --teacher resnet101 --student mobilenetv3" in caught.value.fix


def test_a_run_that_has_not_finished_is_refused():
    make("runs/a", finished=False)
    with pytest.raises(DataError) as caught:
        locate("runs/a", QUIET)
    assert caught.value.what == "runs/a: this run has not finished"
    assert caught.value.fix == "repeat the command that started it"


@pytest.mark.parametrize("thing", ["runs/nope", "other.pt", "runs/model.pt", "kd"])
def test_what_is_not_there_is_refused_and_never_guessed(thing):
    make("runs/a")
    with pytest.raises(UsageError) as caught:
        locate(thing, QUIET)
    assert caught.value.what == f"{thing}: no such file or folder"


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(UsageError, match=r"photos: not a run folder \(no run.yaml\)"):
        locate("photos", QUIET)


def test_versions_are_recorded_without_importing_anything():
    found = versions()
    assert set(found) == {"python", "kdcli", "torch", "timm", "onnx", "onnxruntime"}
    assert all(found.values())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("photo.png", ("an image", "kd predict MODEL")),
        ("photo.HEIC", ("an image", "kd predict MODEL")),
        ("clip.mp4", ("a video",)),
        ("table.csv", ("a table", "--data")),
        ("mine.yaml", ("a YAML file", "--recipe")),
        ("classes.txt", ("a text",)),
    ],
)
def test_a_file_of_another_kind_is_called_what_it_is(
    name: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UsageError) as caught:
        locate(str(tmp_path / name), Silent())
    for word in (*words, "give a run or a model.pt"):
        assert word in str(caught.value)
