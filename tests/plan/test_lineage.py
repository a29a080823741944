"""Who teaches: teachers, their members by seed and subset, assistants; nothing is trained."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from house import SMALL_TEACHER, STUDENT, TEACHER, House, asked, kd, save_untrained

from kdcli.commands.distill import distill_job
from kdcli.commands.train import train_job
from kdcli.core.errors import KdError, UnmetNeeds, UsageError
from kdcli.core.progress import Silent
from kdcli.evaluation.participants import panel_of
from kdcli.plan.ask import Ask
from kdcli.recipe.edit import update
from kdcli.recipe.load import load_recipe
from kdcli.recipe.schema import Recipe
from kdcli.runs.baseline import baseline_of
from kdcli.runs.spec import Spec

SMALL = "test_vit"
CLASSES = ("one", "two", "zero")


class Aloud(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.warned.append(text)


def spec_of(
    pictures: Path, *settings: str, recipe: str = "kd", progress: Any = None, **changes: Any
) -> Spec:
    ask = asked(recipe, pictures, *settings, **changes)
    return distill_job(ask, progress or Silent()).spec


def weighed(*weights: int) -> tuple[str]:
    return (f"scheme={{name: average, weights: {list(weights)}}}",)


def digests(spec: Spec) -> list[str]:
    return [member.identity for member in spec.members]


def trained_ahead(pictures: Path, model: str, seed: int, *settings: str) -> Spec:
    progress, data = Silent(), str(pictures)
    return train_job(
        Ask("supervised", model=model, seed=seed, settings=settings, data=data), progress
    ).spec


# Members -----------------------------------------------------------------------------------------


def test_members_are_those_that_training_ahead_makes(pictures: Path) -> None:
    subset = ("teacher.seeds=3", "teacher.subset=[0.6, 1.0]", "teacher.seed=4")
    spec = spec_of(pictures, *subset)
    ahead = [trained_ahead(pictures, TEACHER, seed, "data.subset=[0.6, 1.0]") for seed in (4, 5, 6)]
    assert digests(spec) == [one.digest for one in ahead]
    assert len(spec.teachers) == 1, "1,000 members are no 1,000 lines of run.yaml"


def test_hidden_labels_are_hidden_from_teachers_too(pictures: Path) -> None:
    (teacher,) = spec_of(pictures, "data.hidden=0.5", "data.subset=0.9").teachers
    assert teacher.spec is not None
    assert (teacher.spec.recipe.data.hidden, teacher.spec.recipe.data.subset) == (0.5, 1.0)


def test_an_entry_says_how_many_and_of_what(pictures: Path) -> None:
    entries = f"who.teachers=[{{model: {TEACHER}, seeds: 2, subset: 0.8}}, {SMALL}]"
    spec = spec_of(pictures, entries, "teacher.seeds=3", teachers=None)
    assert [teacher.words for teacher in spec.teachers] == [f"{TEACHER} x 2", f"{SMALL} x 3"]
    shares = [member.spec.recipe.data.subset for member in spec.members if member.spec]
    assert shares == [0.8, 0.8, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "entries",
    [f"[{TEACHER}, {TEACHER}]", f"[{{model: {TEACHER}, seeds: 3}}, {TEACHER}]"],
    ids=["one", "one of several"],
)
def test_nobody_teaches_twice(entries: str, pictures: Path) -> None:
    with pytest.raises(UsageError, match=f"teacher {TEACHER} of seed 0 is named twice"):
        spec_of(pictures, f"who.teachers={entries}", teachers=None)


@pytest.mark.parametrize("place", ["run", "elsewhere"])
def test_nobody_teaches_by_name_and_by_run(
    place: str, small: House, pictures: Path, tmp_path: Path
) -> None:
    file = small.teacher / "model.pt"
    thing = small.teacher if place == "run" else shutil.copy(file, tmp_path / "mine.pt")
    trained = f"teacher.recipe={SMALL_TEACHER}"
    for teachers in ([TEACHER, str(thing)], [str(thing), TEACHER]):
        with pytest.raises(UsageError, match=r"teacher .* is named twice"):
            spec_of(pictures, trained, teachers=teachers)
    assert (
        len(spec_of(pictures, trained, "teacher.seed=1", teachers=[TEACHER, str(thing)]).members)
        == 2
    )


def test_two_subsets_are_two_teachers(pictures: Path) -> None:
    entries = f"[{{model: {TEACHER}, subset: 0.5}}, {TEACHER}]"
    assert len(set(digests(spec_of(pictures, f"who.teachers={entries}", teachers=None)))) == 2


def test_a_finished_teacher_is_one_member_whatever_the_recipe_says(
    pictures: Path, tmp_path: Path, empty_house: House
) -> None:
    given, aloud = save_untrained(tmp_path / "teacher.pt", CLASSES), Aloud()
    settings = ("teacher.seeds=3", "teacher.subset=0.5")
    spec = spec_of(pictures, *settings, teachers=[str(given)], progress=aloud)
    assert len(spec.members) == 1
    idle = "every teacher is finished: teacher.seeds=3 means nothing here"
    assert idle in aloud.said
    aloud.said.clear()
    spec_of(pictures, recipe="mimic_all", teachers=[str(given)], progress=aloud)
    assert not [line for line in aloud.said if "means nothing here" in line]  # who set it?
    both = {"teachers": [str(given), SMALL], "progress": aloud}
    assert len(spec_of(pictures, *settings, **both).members) == 4
    assert idle not in aloud.said
    entry = f"who.teachers=[{{model: {given}, seeds: 2}}, {TEACHER}]"
    with pytest.raises(UsageError, match="is finished; seeds of its entry would mean nothing"):
        spec_of(pictures, entry, teachers=None)
    with pytest.raises(UsageError, match=r"teacher .*teacher.pt is named twice"):
        spec_of(pictures, teachers=[str(given), str(given)])


def test_a_finished_teacher_that_has_seen_hidden_labels_is_warned_of(
    small: House, pictures: Path, tmp_path: Path
) -> None:
    def told(hidden: float, teacher: Path) -> tuple[list[str], list[str]]:
        aloud = Aloud()
        spec_of(pictures, f"data.hidden={hidden}", teachers=[str(teacher)], progress=aloud)
        said = [line for line in aloud.said if "nobody can know whether it has seen" in line]
        return aloud.warned, said

    model = (small.teacher / "model.pt").resolve()
    seen = "has seen labels that data.hidden hides from the student"
    assert told(0.5, small.teacher) == ([f"teacher {model}: {seen}"], [])
    assert told(0.0, small.teacher) == ([], [])
    alone = save_untrained(tmp_path / "alone.pt", CLASSES)
    (words,) = told(0.5, alone)[1]
    assert str(alone) in words
    assert told(0.5, alone)[0] == told(0.0, alone)[1] == []


def test_a_teacher_from_whom_as_many_labels_were_hidden_may_teach(
    small: House, pictures: Path
) -> None:
    file = small.teacher / "run.yaml"
    file.write_text(file.read_text("utf-8").replace("hidden: 0.0", "hidden: 0.5"), "utf-8")
    aloud = Aloud()
    spec_of(pictures, "data.hidden=0.5", teachers=[str(small.teacher)], progress=aloud)
    assert aloud.warned == []
    spec_of(pictures, "data.hidden=0.6", teachers=[str(small.teacher)], progress=aloud)
    assert len(aloud.warned) == 1


def test_a_student_far_larger_than_its_teacher_is_told(pictures: Path) -> None:
    aloud = Aloud()
    spec_of(pictures, teachers=SMALL, student="resnet18", progress=aloud)
    assert any("are --teacher and --student swapped?" in line for line in aloud.warned)
    aloud = Aloud()
    spec_of(pictures, teachers=TEACHER, student=STUDENT, progress=aloud)
    assert aloud.warned == []


# The scheme --------------------------------------------------------------------------------------


def test_several_teachers_make_offline_average_aloud(pictures: Path) -> None:
    aloud = Aloud()
    spec = spec_of(pictures, teachers=[TEACHER, SMALL], progress=aloud)
    assert "2 teachers: scheme offline -> average, their mean" in aloud.said
    assert spec.digest == spec_of(pictures, "scheme=average", teachers=[TEACHER, SMALL]).digest
    one = spec_of(pictures, progress=aloud)
    assert one.recipe.scheme.name == "offline"
    assert len([line for line in aloud.said if "average" in line]) == 1


def test_weights_for_another_number_of_teachers_are_refused_before_any_training(
    pictures: Path,
) -> None:
    with pytest.raises(UnmetNeeds, match=rf"scheme.weights has 2 for 3 members: {TEACHER} x 3"):
        spec_of(pictures, "scheme={name: average, weights: [1, 2]}", "teacher.seeds=3")
    both = {"teachers": [TEACHER, SMALL]}
    with pytest.raises(UnmetNeeds, match=f"has 4 for 6 members: {TEACHER} x 3, {SMALL} x 3"):
        spec_of(pictures, *weighed(1, 1, 1, 1), "teacher.seeds=3", **both)


@pytest.mark.parametrize(
    ("weights", "resolved"),
    [
        ((2, 1), (2 / 3, 2 / 3, 2 / 3, 1 / 3, 1 / 3, 1 / 3)),
        ((1, 2, 3, 4, 5, 6), (1, 2, 3, 4, 5, 6)),
    ],
)
def test_a_named_teachers_weight_is_spread_over_its_members(
    weights: tuple[int, ...], resolved: tuple[float, ...], pictures: Path
) -> None:
    both = {"teachers": [TEACHER, SMALL]}
    spec = spec_of(pictures, *weighed(*weights), "teacher.seeds=3", **both)
    assert spec.recipe.scheme.options["weights"] == pytest.approx(resolved)
    assert sum(panel_of(spec).weights) == pytest.approx(1)


def test_weights_that_need_no_spreading_are_the_runs_own(pictures: Path) -> None:
    """Runs made before are found again."""
    use = spec_of(pictures, *weighed(2, 1), teachers=[TEACHER, SMALL]).recipe.scheme
    assert use == load_recipe("average", weighed(2, 1)).recipe.scheme


def test_weights_belong_to_the_head_of_a_chain(pictures: Path) -> None:
    both = {"teachers": [TEACHER, SMALL], "assistants": [SMALL]}
    spec = spec_of(pictures, *weighed(2, 1), **both)
    (assistant,) = (member.spec for member in spec.members)
    assert assistant is not None
    assert panel_of(assistant).weights == pytest.approx((2 / 3, 1 / 3))
    assert spec.recipe.scheme.options["weights"] is None
    assert panel_of(spec).weights == (1.0,)


# Assistants --------------------------------------------------------------------------------------


def test_assistants_are_a_chain(pictures: Path) -> None:
    spec = spec_of(
        pictures, "teacher.seeds=2", "teacher.seed=3", assistants=[SMALL, TEACHER], seed=9
    )
    (last,) = spec.teachers
    assert last.spec is not None
    (first,) = last.spec.teachers
    assert first.spec is not None
    assert [last.model, first.model] == [TEACHER, SMALL]
    assert {last.spec.role, first.spec.role} == {"assistant"}
    assert [s.start for s in (spec, last.spec, first.spec)] == [
        "student",
        "assistant.1",
        "assistant.0",
    ]
    assert (spec.seed, last.spec.seed, first.spec.seed) == (9, 3, 3)
    assert [s.recipe.scheme.name for s in (spec, last.spec, first.spec)] == [
        "offline",
        "offline",
        "average",
    ]
    assert len(first.spec.members) == 2
    assert baseline_of(first.spec).teachers == ()
    assert first.spec.folder_name.startswith(f"kd-{TEACHER}x2-{SMALL}-pictures-s3-")


def test_unlabelled_images_are_read_once_for_all_of_a_chain(pictures: Path, tmp_path: Path) -> None:
    aloud, folder = Aloud(), shutil.copytree(pictures / "one", tmp_path / "more")
    spec = spec_of(
        pictures, f"data.unlabelled={folder}", recipe="compress", assistants=[SMALL], progress=aloud
    )
    (above,) = (member.spec for member in spec.members)
    assert above is not None
    assert spec.unlabelled == above.unlabelled is not None
    assert len([line for line in aloud.said if line.startswith("data.unlabelled:")]) == 1


@pytest.mark.parametrize("what", ["run", "file"])
def test_a_finished_assistant_is_a_teacher(what: str, small: House, pictures: Path) -> None:
    thing = small.teacher if what == "run" else small.teacher / "model.pt"
    with pytest.raises(UsageError, match="an assistant is trained here") as refused:
        spec_of(pictures, assistants=[str(thing)])
    assert f"--teacher {thing}" in (refused.value.fix or "")


# What was asked ----------------------------------------------------------------------------------


def test_flags_override_the_block_aloud(pictures: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    who = f"who: {{teachers: [{TEACHER}, {SMALL}], assistants: [{TEACHER}], student: {STUDENT}}}"
    recipe.write_text(f"methods: {{kd: }}\n{who}\n", "utf-8")
    aloud = Aloud()
    spec = spec_of(pictures, recipe=str(recipe), teachers=None, student=None, progress=aloud)
    assert [t.model for t in spec.teachers] == [TEACHER]
    assert [t.model for t in (spec.teachers[0].spec or spec).teachers] == [TEACHER, SMALL]
    assert not any("overrides" in line for line in aloud.said)
    spec_of(pictures, recipe=str(recipe), teachers=["vgg11", SMALL], progress=aloud)
    said = f"--teacher vgg11 --teacher {SMALL} overrides who.teachers: {TEACHER}, {SMALL}"
    assert f"{said} of the recipe" in aloud.said


def test_teacher_and_teachers_are_one_too_many() -> None:
    answer = kd("distill", "--set", f"who={{teacher: {TEACHER}, teachers: [{SMALL}]}}")
    assert answer.code == 2
    assert "who: expects teacher or teachers, one of the two" in answer.err


def test_a_who_block_survives_its_way_through_a_file() -> None:
    entries = {"teachers": [{"model": "a", "seeds": 2, "subset": [0.5, 0.7]}, "b"]}
    recipe = update(Recipe(), {"who": entries})
    assert update(recipe, {}) == recipe


def test_every_refusal_has_a_way_out(pictures: Path) -> None:
    for settings in (("scheme={name: average, weights: [1, 2]}",), ("teacher.recipe=kd",)):
        with pytest.raises(KdError) as refused:
            spec_of(pictures, *settings)
        assert refused.value.fix
