"""What is printed to be typed next is typed as it is printed, and finds what there is."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from house import ON_DIGITS, SMALL_TEACHER, STUDENT, TEACHER, Answer, House, kd, kd_ok

from kdcli.plan import forecast
from kdcli.plan.estimate import Estimate
from kdcli.runs.spec import Spec

PLACEHOLDERS = {"resnet101": TEACHER, "mobilenetv3": STUDENT}
"""Of the examples: smaller ones stand in."""


@pytest.fixture(autouse=True)
def _unrehearsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who would be trained is asked here, and not how long that takes."""

    def estimate(spec: Spec, *_: object, **__: object) -> Estimate:
        return Estimate(spec.role, spec.model, 1, 1.0, 1, 1, 1)

    monkeypatch.setattr(forecast, "estimate", estimate)


def _printed(answer: Answer) -> list[list[str]]:
    lines = [row for row in answer.out.splitlines() if row.startswith("next: ")]
    commands = [shlex.split(row.removeprefix("next: ")) for row in lines]
    assert all(command[0] == "kd" for command in commands)
    return [command[1:] for command in commands]


def _typed(command: list[str], pictures: Path) -> list[str]:
    known = PLACEHOLDERS | {"DIR": str(pictures), "DATA": str(pictures), "IMAGE": str(pictures)}
    return [known.get(word, word) for word in command]


def _to_train(command: list[str], pictures: Path) -> list[str]:
    """Which models a printed `kd distill` or `kd train` would train, by their roles."""
    assert command[0] in ("distill", "train")
    words = [word for word in _typed(command, pictures) if word != "--dry-run"]
    weak = ("--set", "teacher.allow_weak=true")  # after one epoch of a few pictures
    plan: dict[str, Any] = kd_ok(*words, *weak, "--dry-run", "--json").document["plan"]
    return [one["role"] for one in plan["now"]]


@pytest.mark.parametrize(
    "settings", [(), ("train.epochs=1",), ("train.epochs=1", "data.image_size=64")]
)
def test_after_several_teachers_none_is_trained_anew(
    empty_house: House, pictures: Path, settings: tuple[str, ...]
) -> None:
    changes = [word for one in settings for word in ("--set", one)]
    recipe = [] if settings else ["--recipe", _quick(empty_house.path.parent)]
    line = ("train", TEACHER, "--seeds", "2", "--data", pictures, *changes, *recipe)
    (command,) = _printed(kd_ok(*line))
    assert command.count("--teacher") == 2
    assert _to_train(command, pictures) == ["student"]
    assert ("data.image_size=64" in command) == (len(settings) == 2)


def _quick(folder: Path) -> Path:
    file = folder / "my quick.yaml"
    file.write_text("scheme: alone\ntrain: {epochs: 1}\n", "utf-8")
    return file


def test_after_one_teacher_it_teaches_and_is_evaluated(empty_house: House, pictures: Path) -> None:
    line = ("train", TEACHER, "--data", pictures, "--set", "train.epochs=1")
    dry = _printed(kd_ok(*line, "--dry-run"))
    assert dry == [[str(word) for word in line]]
    distill, evaluate = _printed(kd_ok(*line))
    assert _to_train(distill, pictures) == ["student"]
    kd_ok(*evaluate)
    (inspected,) = _printed(kd_ok("inspect", empty_house.teacher))
    assert _to_train(inspected, pictures) == ["student"]


def test_from_a_student_to_its_gates(finished: House, pictures: Path) -> None:
    """`kd distill`, `kd evaluate`, `kd export`, `kd evaluate --min`: each prints the next one."""
    evaluate, export = _printed(kd_ok(*ON_DIGITS))
    (after,) = _printed(kd_ok(*evaluate))
    assert after == export
    runs = finished.runs()
    gated, predict = _printed(kd_ok(*export))
    assert "--min" in gated
    kd_ok(*gated)
    assert kd_ok(*_typed(predict, pictures), "--json").document["predictions"]
    *listed, prune = _printed(kd_ok("list", "runs"))
    assert listed == [evaluate, export]
    kd_ok(*prune)
    assert finished.runs() == runs, "nothing was trained anew"


def test_a_recipe_of_one_s_own_is_shown_and_run_for_whom_it_names(
    small: House, pictures: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "my recipe.yaml"
    who = f"{{teacher: {small.teacher}, student: test_vit, data: {pictures}, seed: 3}}"
    mine.write_text(f"methods: {{kd: }}\ndata: {{image_size: 160}}\nwho: {who}\n", "utf-8")
    show = ("recipe", "show", mine, "--set", "train.epochs=1")
    (checked,) = _printed(kd_ok("recipe", "check", *show[2:]))
    assert checked == [str(word) for word in show]
    (command,) = _printed(kd_ok(*checked))
    assert command == ["distill", "--recipe", str(mine), "--set", "train.epochs=1"]
    plan = kd_ok(*command, "--dry-run", "--json").document["plan"]
    assert [one["model"] for one in plan["now"]] == ["test_vit"]


def test_show_resolves_for_the_student_of_the_file(empty_house: House, tmp_path: Path) -> None:
    """A large student gets another schedule than a small one; so does one of a recipe's `who:`."""
    mine = tmp_path / "mine.yaml"
    mine.write_text("methods: {kd: }\nwho: {teacher: resnet101, student: resnet50}\n", "utf-8")
    shown, flagged, other = (
        kd_ok("recipe", "show", *line, "--json").document["settings"]["train.lr"]
        for line in ((mine,), ("kd", "--student", "resnet50"), ("kd",))
    )
    assert shown == flagged != other


@pytest.mark.parametrize("taught_by", ["name", "run"])
def test_a_matched_pair_is_the_one_that_is_trained(
    small: House, pictures: Path, taught_by: str
) -> None:
    teacher = TEACHER if taught_by == "name" else str(small.teacher)
    changes = ("--set", "match.pairs=[[1, 1]]", "--set", "train.epochs=1")
    if taught_by == "name":
        changes += ("--set", f"teacher.recipe={SMALL_TEACHER}")
    pair = ("--teacher", teacher, "--student", STUDENT, "--data", str(pictures))
    (command,) = _printed(kd_ok("match", *pair, *changes))
    assert "match.pairs=[[1, 1]]" in command
    assert _to_train(command, pictures) == ["student"]


def test_data_lead_to_a_plan_and_to_its_settings(empty_house: House, pictures: Path) -> None:
    distill, show = _printed(kd_ok("doctor", pictures))
    assert _to_train(distill, pictures) == ["teacher", "student"]
    kd_ok(*show)
    machine, first = _printed(kd_ok("doctor"))
    kd_ok(*_typed(machine, pictures))
    assert first[0] == "distill"


def test_models_lead_to_a_plan(empty_house: House, pictures: Path) -> None:
    (small,) = _printed(kd_ok("inspect", STUDENT))
    assert _to_train(small, pictures) == ["teacher", "student"]
    for listed in ("recipes", "schemes"):
        for command in _printed(kd_ok("list", listed)):
            kd_ok(*command)


def test_a_way_out_has_all_that_was_given(empty_house: House, pictures: Path) -> None:
    changes = ("--set", "train.epochs=1", "--data", str(pictures), "--seed", "2")
    answer = kd("distill", "--teacher", TEACHER, *changes)
    assert answer.code == 2
    command = shlex.split(answer.err.strip().splitlines()[-1])[1:]
    plan = kd_ok(*_typed(command, pictures), "--dry-run", "--json").document["plan"]
    assert plan["now"][-1]["model"] == STUDENT
    assert command[1:] == [
        *("--teacher", TEACHER, "--student", "mobilenetv3", "--set", "train.epochs=1"),
        *("--data", str(pictures), "--seed", "2"),
    ]
