"""`kd distill`: the teacher first, what is reused, which teachers are refused, who: blocks."""

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
import yaml
from house import (
    DISTILL,
    ON_DIGITS,
    SMALL_TEACHER,
    STUDENT,
    TEACHER,
    House,
    kd,
    kd_ok,
    on_pictures,
    same_weights,
    save_untrained,
)

from kdcli.commands.distill import advise
from kdcli.core.files import sha256
from kdcli.core.progress import Silent
from kdcli.data.source import Source
from kdcli.models.checkpoint import load_model, save_model
from kdcli.plan.foreseen import Forecast
from kdcli.plan.job import Shared
from kdcli.plan.lineage import Roles
from kdcli.plan.names import Start
from kdcli.recipe.load import load_recipe
from kdcli.recipe.match import Noise
from kdcli.runs.run import Run

CLASSES = ("one", "two", "zero")
"""Of the pictures."""


def test_run_folders_hold_these_files(distilled_once: House) -> None:
    def names(run: Path) -> set[str]:
        return {file.name for file in run.iterdir()} - {".lock"}

    assert len(distilled_once.runs()) == 2
    whole = {"run.yaml", "model.pt", "metrics.jsonl", "run.log"}
    assert names(distilled_once.teacher) == whole
    assert names(distilled_once.student) == whole | {"needs.json"}


def test_folder_names_say_who_and_what(distilled_once: House) -> None:
    digest = Run(distilled_once.student).spec.digest
    assert distilled_once.student.name == f"kd-{TEACHER}-{STUDENT}-digits-s0-{digest}"
    digest = Run(distilled_once.teacher).spec.digest
    assert distilled_once.teacher.name == f"teacher-{TEACHER}-digits-s0-{digest}"


def test_the_run_records_everything_resolved(distilled_once: House) -> None:
    raw = yaml.safe_load((distilled_once.student / "run.yaml").read_text("utf-8"))
    assert raw["asked"] is True
    assert raw["versions"].keys() >= {"python", "kdcli", "torch", "timm"}
    assert raw["spec"]["recipe"]["train"]["epochs"] == 2
    left = [value for value in _values(raw["spec"]) if value == "auto"]
    assert len(left) == 6, (
        "of both: match.adapter (each pair decides), data.licence, teacher.answers"
    )


def _values(raw: Any) -> list[Any]:
    if isinstance(raw, dict):
        return [leaf for value in raw.values() for leaf in _values(value)]
    return [leaf for item in raw for leaf in _values(item)] if isinstance(raw, list) else [raw]


def test_needs_are_relative_and_true(distilled_once: House) -> None:
    student, teacher = distilled_once.student, distilled_once.teacher
    needs = json.loads((student / "needs.json").read_text("utf-8"))
    assert needs == {
        "format": 1,
        "teacher.0": {
            "path": f"../{teacher.name}/model.pt",
            "sha256": sha256(teacher / "model.pt"),
        },
    }


def test_metrics_hold_every_term_weighted_and_unweighted(distilled_once: House) -> None:
    *epochs, end = Run(distilled_once.student).lines()
    assert [line["epoch"] for line in epochs] == [1, 2]
    for line in epochs:
        assert line["terms"].keys() == line["weighted"].keys() == {"task", "kd"}
        assert line["weighted"]["task"] == pytest.approx(0.1 * line["terms"]["task"])
        assert line["weighted"]["kd"] == pytest.approx(0.9 * line["terms"]["kd"])
        assert line["loss"] == pytest.approx(sum(line["weighted"].values()))
    best = max(epochs, key=lambda line: (line["val_accuracy"], -line["val_nll"]))
    assert end["best_epoch"] == best["epoch"]
    assert end["val_accuracy"] == best["val_accuracy"]


def test_model_pt_is_weights_and_plain_values(distilled_once: House) -> None:
    path = distilled_once.student / "model.pt"
    raw = torch.load(path, weights_only=True)
    assert raw.keys() == {"kd", "model", "state_dict", "classes", "recipe", "provenance"}
    file = load_model(path)
    assert file.model["name"] == STUDENT
    assert file.classes == tuple("0123456789")
    assert file.recipe["methods"]["kd"]["temperature"] == 4.0
    assert file.provenance["teachers"] == [TEACHER]
    assert all(torch.isfinite(t).all() for t in file.state_dict.values())


# The same again, and what is reused --------------------------------------------------------------


def test_the_same_command_again_trains_nothing(distilled: House) -> None:
    model = distilled.student / "model.pt"
    before = (model.stat().st_mtime_ns, sha256(model), distilled.runs())
    answer = kd_ok(*ON_DIGITS)
    assert (model.stat().st_mtime_ns, sha256(model), distilled.runs()) == before
    assert f"{distilled.student}: finished earlier, nothing to train" in answer.err
    assert "epoch" not in answer.err
    assert f"next: kd evaluate {distilled.student}" in answer.out
    assert f"next: kd export {distilled.student}" in answer.out
    assert STUDENT in answer.out
    assert kd_ok(*ON_DIGITS, "--json").document["reused"] is True


@pytest.mark.slow
def test_another_weight_costs_no_teacher_and_no_baseline(small: House, pictures: Path) -> None:
    kd_ok("evaluate")
    baseline = small.run("baseline-")
    before = {run: sha256(run / "model.pt") for run in small.runs()}
    kd_ok(*on_pictures(pictures), "--set", "methods.kd.weight=0.5")
    second = next(run for run in small.runs("kd-") if run not in before)
    answer = kd_ok("evaluate", second)
    assert "baseline test_efficientnet:" not in answer.err
    assert f"{baseline}: finished earlier" in answer.err
    assert len(small.runs()) == len(before) + 1
    assert {run: sha256(run / "model.pt") for run in before} == before


def test_teachers_are_found_whatever_out_says(small: House, pictures: Path, tmp_path: Path) -> None:
    kd_ok(*on_pictures(pictures), "--seed", "5", "--out", tmp_path / "out")
    assert len(small.runs()) == 2
    needs = json.loads((tmp_path / "out" / "needs.json").read_text("utf-8"))
    there = (tmp_path / "out" / needs["teacher.0"]["path"]).resolve()
    assert there == (small.teacher / "model.pt").resolve()


def test_another_seed_is_another_student_of_the_same_teacher(small: House, pictures: Path) -> None:
    kd_ok(*on_pictures(pictures), "--seed", "1")
    first, second = small.runs("kd-")
    assert ("-s0-" in first.name, "-s1-" in second.name) == (True, True)
    assert len(small.runs("teacher-")) == 1


def test_other_epochs_of_the_student_train_no_other_teacher(small: House, pictures: Path) -> None:
    kd_ok(*DISTILL, "--data", pictures, "--set", "train.epochs=1")
    assert len(small.runs("kd-")) == 2
    assert len(small.runs("teacher-")) == 1


def test_a_disturbed_teacher_teaches_something_else(small: House, pictures: Path) -> None:
    plain = small.student
    kd_ok(*on_pictures(pictures), "--set", "match.augment=[{noise: {scale: 3, probability: 1}}]")
    (noisy,) = [run for run in small.runs("kd-") if run != plain]
    (entry,) = Run(noisy).spec.recipe.match.augment
    assert entry.rule == Noise(scale=3.0, probability=1.0)
    first, second = (Run(run).lines()[0]["terms"]["kd"] for run in (plain, noisy))
    assert second > 1.2 * first
    assert len(small.runs("teacher-")) == 1


# A teacher that is given -------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_run_may_be_the_teacher(what: str, small: House, pictures: Path) -> None:
    before = sha256(small.teacher / "model.pt")
    given = small.teacher if what == "folder" else small.teacher / "model.pt"
    line = ("distill", "--teacher", given, "--student", STUDENT, "--data", pictures)
    answer = kd_ok(*line, "--set", "train.epochs=1", "--json")
    run = Run(Path(answer.document["run"]))
    (teacher,) = run.spec.teachers
    assert (teacher.model, teacher.sha256, teacher.spec) == (TEACHER, before, None)
    assert sha256(small.teacher / "model.pt") == before


def test_a_students_run_that_teaches_is_a_teacher(small: House, pictures: Path) -> None:
    line = ("distill", "--teacher", small.student, "--student", TEACHER, "--data", pictures)
    answer = kd_ok(*line, "--set", "train.epochs=1", "--set", "teacher.allow_weak=true")
    roles = [row.split()[1] for row in answer.out.splitlines() if "epochs" in row]
    assert roles == ["student", "teacher"]


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (("cat", "dog", "cow"), "its class 0 is 'cat', that of the data is 'one'"),
        (("one", "two"), "it knows 2 classes, the data have 3"),
    ],
    ids=["other names", "other count"],
)
def test_a_teacher_of_other_classes_is_refused(
    classes: tuple[str, ...], words: str, empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    given = save_untrained(tmp_path / "teacher.pt", classes)
    answer = kd("distill", "--teacher", given, "--student", STUDENT, "--data", pictures)
    assert answer.code == 3
    assert words in answer.err
    assert str(given) in answer.err
    assert not empty_house.path.exists()


def test_a_teacher_of_these_classes_in_another_order_is_put_in_theirs(
    small: House, pictures: Path, tmp_path: Path
) -> None:
    own = load_model(small.teacher / "model.pt")
    order, names = [2, 0, 1], ("zero", "one", "two")
    rows = {k: v[order] if k.startswith("fc.") else v for k, v in own.state_dict.items()}
    save_model(replace(own, state_dict=rows, classes=names), tmp_path / "teacher.pt")
    line = ("distill", "--teacher", tmp_path / "teacher.pt", "--student", STUDENT)
    answer = kd_ok(*line, "--data", pictures, "--dry-run")
    assert "its classes put in the order of the data's" in answer.err
    (place,) = small.path.glob("given-*/model.pt")
    assert same_weights(place, small.teacher / "model.pt")
    shown = kd_ok("inspect", tmp_path / "teacher.pt", "--data", pictures, "--json").document
    right = kd_ok("inspect", small.teacher, "--json").document
    assert shown["temperature"]["accuracy"] == right["temperature"]["accuracy"] > 0.5
    kd_ok("match", *line[1:], "--data", pictures)


def test_data_of_other_classes_match_no_teacher(pictures: Path, tmp_path: Path) -> None:
    given = save_untrained(tmp_path / "teacher.pt", ("cat", "dog", "cow"))
    answer = kd("match", "--teacher", given, "--student", STUDENT, "--data", pictures)
    assert answer.code == 3
    assert "its class 0 is 'cat', that of the data is 'one'" in answer.err


@pytest.mark.parametrize("command", [("evaluate",), ("export",)])
def test_a_model_in_another_order_than_its_data_is_measured_nowhere(
    command: tuple[str, ...], small: House
) -> None:
    """As an older kd would have left it: the rows no longer mean what the labels mean."""
    own = load_model(small.student / "model.pt")
    save_model(replace(own, classes=("zero", "one", "two")), small.student / "model.pt")
    answer = kd(*command, small.student)
    assert answer.code == 3
    assert "the same classes in another order: its class 0 is 'zero'" in answer.err


def test_two_of_ten_classes_that_changed_places_are_named(
    finished_once: House, tmp_path: Path
) -> None:
    """Nobody says that they did: the answers do."""
    own = load_model(finished_once.teacher / "model.pt")
    order = [0, 1, 2, 5, 4, 3, 6, 7, 8, 9]
    rows = {k: v[order] if k.startswith("fc.") else v for k, v in own.state_dict.items()}
    save_model(replace(own, state_dict=rows), tmp_path / "teacher.pt")
    line = ("distill", "--teacher", tmp_path / "teacher.pt", "--student", STUDENT, "--dry-run")
    answer = kd(*line)
    assert answer.code == 3
    assert "'3' where the data say '5'" in answer.err
    assert "'5' where the data say '3'" in answer.err
    assert f"--teacher {TEACHER}={tmp_path / 'teacher.pt'} --classes labels.txt" in answer.err
    kd_ok(*line, "--set", "teacher.allow_weak=true")


def test_a_weak_teacher_is_refused_unless_allowed(
    empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    given = save_untrained(tmp_path / "teacher.pt", CLASSES)
    line = ("distill", "--teacher", given, "--student", STUDENT, "--data", pictures)
    line = (*line, "--set", "train.epochs=1")
    for answer in (kd(*line, "--dry-run"), kd(*line)):
        assert answer.code == 3
        assert "hardly better than chance (0.333)" in answer.err
        assert "--set teacher.allow_weak=true" in answer.err
    assert not list(empty_house.path.glob("*/metrics.jsonl")), "refused before the first step"
    line = (*line, "--set", "teacher.allow_weak=true")
    for answer in (kd_ok(*line, "--dry-run"), kd_ok(*line)):
        assert "warning: teacher" in answer.err


@pytest.mark.parametrize("recipe", ["average", "compress"])
def test_a_weak_teacher_is_refused_before_another_is_trained(
    recipe: str, empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    given = save_untrained(tmp_path / "teacher.pt", CLASSES)
    who = ("--teacher", TEACHER, "--teacher", given, "--student", STUDENT)
    answer = kd("distill", *who, "--recipe", recipe, "--data", pictures)
    assert answer.code == 3
    assert "hardly better than chance (0.333)" in answer.err
    assert empty_house.runs() == []


def test_a_teacher_file_that_changed_is_not_trusted(
    small: House, pictures: Path, tmp_path: Path
) -> None:
    given = tmp_path / "teacher.pt"
    shutil.copy(small.teacher / "model.pt", given)
    line = ("distill", "--teacher", given, "--student", STUDENT, "--data", pictures)
    run = kd_ok(*line, "--set", "train.epochs=1", "--json").document["run"]
    save_untrained(given, CLASSES)
    answer = kd("evaluate", run)
    assert answer.code == 7
    assert str(given) in answer.err


class _Bomb:
    """Unpickling it makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return Path.touch, (self.canary,)


@pytest.mark.parametrize("form", ["torch.save", "pickle"])
def test_code_in_a_teacher_is_refused_and_never_run(
    form: str, empty_house: House, tmp_path: Path
) -> None:
    canary, given = tmp_path / "canary", tmp_path / "teacher.pt"
    bomb = {"kd": 1, "model": _Bomb(canary)}
    if form == "pickle":
        given.write_bytes(pickle.dumps(bomb))
    else:
        torch.save(bomb, given)
    answer = kd("distill", "--teacher", given, "--student", STUDENT)
    assert answer.code == 7
    assert str(given) in answer.err
    assert not canary.exists()
    pickle.loads(pickle.dumps(bomb))
    assert canary.exists(), "the bomb itself works"


def _cut(path: Path, whole: bytes) -> None:
    path.write_bytes(whole[: len(whole) // 2])


def _cut_early(path: Path, whole: bytes) -> None:
    path.write_bytes(whole[:5000])


def _flip(path: Path, whole: bytes) -> None:
    middle = len(whole) // 2
    path.write_bytes(
        whole[:middle] + bytes(b ^ 255 for b in whole[middle : middle + 64]) + whole[middle + 64 :]
    )


def _empty(path: Path, whole: bytes) -> None:
    path.write_bytes(b"")


def _text(path: Path, whole: bytes) -> None:
    path.write_text("root:x:0:0:root:/root:/bin/bash\n")


def _foreign(path: Path, whole: bytes) -> None:
    torch.save({"state_dict": {}}, path)


def _of_tomorrow(path: Path, whole: bytes) -> None:
    torch.save({"kd": 99}, path)


def _not_fitting(path: Path, whole: bytes) -> None:
    torch.save(torch.load(path, weights_only=True) | {"state_dict": {"x": torch.ones(1)}}, path)


DAMAGES = [_cut, _cut_early, _flip, _empty, _text, _foreign, _of_tomorrow, _not_fitting]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_a_damaged_teacher_is_told_by_its_name(
    damage: Any, small: House, pictures: Path, tmp_path: Path
) -> None:
    given = tmp_path / "teacher.pt"
    shutil.copy(small.teacher / "model.pt", given)
    damage(given, given.read_bytes())
    answer = kd("distill", "--teacher", given, "--student", STUDENT, "--data", pictures)
    assert answer.code == 7, answer.err
    assert str(given) in answer.err


# Who: a committed file is a whole job ------------------------------------------------------------


@pytest.fixture
def job(pictures: Path, tmp_path: Path) -> Path:
    """A recipe of one's own that says who as well as how."""
    path = tmp_path / "job.yaml"
    who = {"teacher": TEACHER, "student": STUDENT, "data": str(pictures), "seed": 3}
    raw = {"methods": {"kd": None}, "train": {"epochs": 1}, "who": who}
    raw["teacher"] = {"recipe": str(SMALL_TEACHER)}
    path.write_text(yaml.safe_dump(raw))
    return path


def test_who_and_what_may_stand_in_a_file(small: House, job: Path) -> None:
    run = Path(kd_ok("distill", "--recipe", job, "--json").document["run"])
    assert run.name.startswith(f"job-{TEACHER}-{STUDENT}-pictures-s3-")
    assert load_recipe(str(job)).recipe.who is not None


def test_flags_override_the_file_aloud(small: House, job: Path) -> None:
    answer = kd_ok("distill", "--recipe", job, "--seed", "0", "--json")
    assert "--seed 0 overrides who.seed: 3 of the recipe" in answer.err
    assert "-s0-" in answer.document["run"]


def test_half_a_who_is_not_enough(empty_house: House, tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(f"methods: {{kd: }}\nwho: {{student: {STUDENT}}}\n")
    answer = kd("distill", "--recipe", path)
    assert answer.code == 2
    assert "--teacher is missing" in answer.err


# A folder of pictures ----------------------------------------------------------------------------


def test_a_folder_of_pictures(small_once: House) -> None:
    file = load_model(small_once.student / "model.pt")
    assert file.classes == CLASSES
    split = json.loads((small_once.student / "split.json").read_text("utf-8"))
    assert split.pop("format") == 1
    assert {role: len(ids) for role, ids in split.items()} == {"test": 24, "validation": 12}
    assert np.intersect1d(split["test"], split["validation"]).size == 0


def test_a_corrupt_picture_is_named(empty_house: House, pictures: Path, tmp_path: Path) -> None:
    data = shutil.copytree(pictures, tmp_path / "data")
    for image in (data / "two").iterdir():
        image.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    answer = kd("distill", "--teacher", TEACHER, "--student", STUDENT, "--data", data)
    assert answer.code == 3
    assert str(data / "two") in answer.err
    assert ".png" in answer.err


def test_one_picture_cut_short_is_named(empty_house: House, pictures: Path, tmp_path: Path) -> None:
    data = shutil.copytree(pictures, tmp_path / "data")
    image = data / "two" / "07.png"
    image.write_bytes(image.read_bytes()[:-30])
    answer = kd("distill", "--teacher", TEACHER, "--student", STUDENT, "--data", data)
    assert answer.code == 3
    assert str(image) in answer.err


# Nothing is trained for nothing, and nobody teaches himself --------------------------------------


def test_a_place_that_is_taken_is_refused_before_a_teacher_is_trained(
    empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    assert kd(*on_pictures(pictures), "--out", tmp_path / "mine").code == 2
    assert empty_house.runs() == []


def test_weights_out_of_reach_are_told_before_a_teacher_is_trained(
    empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    answer = kd(*on_pictures(pictures), "--set", "student.pretrained=true")
    assert answer.code == 3
    assert empty_house.runs() == []


def test_a_teacher_cannot_be_trained_by_a_recipe_that_needs_one(empty_house: House) -> None:
    answer = kd(*DISTILL, "--set", "teacher.recipe=kd")
    assert answer.code == 2
    assert "recipe kd needs a teacher" in answer.err


@pytest.mark.parametrize("text", ["", "train: {epochs: 2}\n"])
def test_a_recipe_that_would_teach_nothing_is_refused(
    text: str, empty_house: House, tmp_path: Path
) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(text)
    for answer in (kd(*DISTILL, "--recipe", recipe), kd("recipe", "check", recipe)):
        assert answer.code == 2
        assert "recipe mine names no method, so the teacher would teach nothing" in answer.err
        assert "methods: {kd: {weight: 0.9}}, or use scheme: alone" in answer.err
    assert empty_house.runs() == []
    assert kd("recipe", "check", recipe, "--set", "scheme=alone").code == 0


def test_a_method_without_a_teacher_is_compared_against_one(small: House, pictures: Path) -> None:
    line = (*DISTILL, "--data", pictures, "--recipe", "tfkd", "--set", "train.epochs=1")
    run = Path(kd_ok(*line, "--json").document["run"])
    assert Run(run).needs()["teacher.0"].path.resolve() == small.teacher / "model.pt"
    assert kd_ok("evaluate", run, "--json").document["models"].keys() == {
        "teacher",
        "student",
        "baseline",
    }


def test_a_guessed_teacher_is_said_aloud(
    small: House, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = ("distill", "--teacher", "model.pt", "--student", STUDENT, "--data", pictures)
    answer = kd(*line, "--set", "train.epochs=1", "--set", "teacher.allow_weak=true")
    assert answer.code == 0
    assert "model.pt: none here, using" in answer.err


def test_a_student_of_its_teachers_kind_starts_elsewhere_and_so_does_its_baseline() -> None:
    from kdcli.core.progress import Silent
    from kdcli.plan.data import open_data
    from kdcli.plan.lineage import distill_spec
    from kdcli.recipe.load import load_recipe
    from kdcli.runs.baseline import baseline_of
    from kdcli.training.devices import open_device

    source, data = open_data("digits", Silent())
    device = open_device("cpu")
    spec = distill_spec(
        Roles((TEACHER,), Start(TEACHER)), Shared(load_recipe("kd"), source, data, device)
    )
    teacher = spec.teachers[0].spec
    assert teacher is not None
    assert teacher.start != spec.start == baseline_of(spec).start
    assert teacher.digest != baseline_of(spec).digest


# Several teachers, and assistants ----------------------------------------------------------------


@pytest.fixture(scope="session")
def ensemble_line(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Five members of one model, one epoch each."""
    recipe = tmp_path_factory.mktemp("recipes") / "one_epoch.yaml"
    recipe.write_text("scheme: alone\ntrain: {epochs: 1}\n", "utf-8")
    line = (*DISTILL, "--data", str(pictures), "--set", "train.epochs=1")
    return (*line, "--set", f"teacher.recipe={recipe}", "--set", "teacher.subset=[0.6, 1.0]")


def test_an_ensemble_is_trained_taught_by_and_told_of_in_a_line(
    empty_house: House, ensemble_line: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between its members, it goes on with the next one."""
    from kdcli.training import ensure as verb

    real, begun = verb.begin, []

    def killed_at_the_third(*run: Any) -> Any:
        begun.append(run)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return real(*run)

    line = (*ensemble_line, "--set", "teacher.seeds=5")
    nothing = Forecast(now=(), later=(), free_bytes=0)
    with monkeypatch.context() as patch:
        patch.setattr(verb, "begin", killed_at_the_third)
        patch.setattr("kdcli.commands.train.foresee", lambda *job, **options: nothing)
        assert kd(*line).code == 130
    before = {run: (run / "model.pt").stat().st_mtime_ns for run in empty_house.runs("teacher-")}
    assert len(before) == 2

    answer = kd_ok(*line)
    assert {run: (run / "model.pt").stat().st_mtime_ns for run in before} == before
    assert "5 teachers: scheme offline -> average, their mean" in answer.err
    assert f"plan: 3 x teacher {TEACHER} 1 epoch ~" in answer.err
    assert "2 of 5 teachers are finished" in answer.err
    assert "5 teachers: balanced validation accuracy 0." in answer.err
    assert answer.err.count("a student has little to learn") <= 3
    assert len([row for row in answer.out.splitlines() if "5 teachers" in row]) == 1

    student = Run(empty_house.run(f"kd-{TEACHER}x5-{STUDENT}-pictures-s0-"))
    assert list(student.needs()) == [f"teacher.{i}" for i in range(5)]
    members = [f"../{member.name}/model.pt" for member in empty_house.runs("teacher-")]
    needs = json.loads((student.path / "needs.json").read_text("utf-8"))
    assert [needs[f"teacher.{i}"]["path"] for i in range(5)] == members
    assert load_model(student.model).provenance["teachers"] == [f"{TEACHER} x 5"]
    assert f"teacher {TEACHER} x 5" in student.log.read_text("utf-8")
    assert kd_ok(*line, "--json").document["reused"] is True


def test_an_assistant_stands_between(empty_house: House, ensemble_line: tuple[str, ...]) -> None:
    answer = kd_ok(*ensemble_line, "--assistant", "test_vit")
    said = [words.split(" 1 epoch")[0] for words in answer.err.partition("plan: ")[2].split(", ")]
    assert said[:3] == [f"teacher {TEACHER}", "assistant test_vit", f"student {STUDENT}"]
    assistant = empty_house.run(f"kd-{TEACHER}-test_vit-pictures-s0-")
    student = empty_house.run(f"kd-test_vit-{STUDENT}-pictures-s0-")
    assert Run(student).needs()["teacher.0"].path.resolve().parent == assistant.resolve()
    assert (Run(assistant).spec.role, Run(assistant).asked) == ("assistant", False)
    assert Run(student).asked
    assert "assistant test_vit" in Run(student).log.read_text("utf-8")
    document = kd_ok("evaluate", assistant, "--json").document
    assert document["models"].keys() == {"teacher", "student", "baseline"}
    assert document["role"] == "assistant"


# Many classes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "settings", "classes", "said"),
    [
        ("kd", (), 500, True),
        ("kd", ("train.epochs=3", "task.label_smoothing=0.1"), 1000, True),
        ("kd", (), 499, False),
        ("kd", ("methods.kd.temperature=1",), 1000, False),
        ("kd", ("task.weight=0.5",), 1000, False),
        ("kd_many_classes", (), 1000, False),
    ],
)
def test_many_classes_are_told_of_their_recipe(
    recipe: str,
    settings: tuple[str, ...],
    classes: int,
    said: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said_aloud: list[str] = []
    progress = Silent()
    monkeypatch.setattr(progress, "warn", said_aloud.append)
    source = cast(Source, SimpleNamespace(name="photos", classes=range(classes)))
    advise(load_recipe(recipe, settings), source, progress)
    assert any("--recipe kd_many_classes" in line for line in said_aloud) == said
    assert all(line.startswith(f"photos: {classes:,} classes") for line in said_aloud)


def test_the_recipe_for_many_classes_has_the_plain_softmax() -> None:
    recipe = load_recipe("kd_many_classes").recipe
    assert (recipe.task.weight, recipe.methods["kd"].weight) == (0.5, 0.5)
    assert recipe.methods["kd"].options["temperature"] == 1.0
