"""Row 10: in what two trainings differ, key by key."""

from typing import Any

import pytest

from kdcli.core import registry
from kdcli.recipe.edit import update
from kdcli.recipe.schema import Recipe
from kdcli.runs.differences import MOST, differences, told
from kdcli.runs.spec import DataRef, FileRef, Spec, TeacherRef

DATA = DataRef(name="photos", location="/photos", identity={"kind": "folder", "files": "0a"})
OTHER = DATA.model_copy(update={"location": "/pictures", "identity": {"files": "1b"}})


def spec(role: str = "student", **changes: Any) -> Spec:
    settings = {"train.lr": 1e-3, "methods.kd": {"weight": 0.9}} | changes.pop("settings", {})
    made = {"role": role, "model": "resnet18", "data": DATA, "recipe_name": "kd"}
    return Spec.model_validate(made | {"recipe": update(Recipe(), settings)} | changes)


def taught_by(one: Spec | str) -> tuple[TeacherRef, ...]:
    if isinstance(one, Spec):
        return (TeacherRef(model=one.model, spec=one),)
    return (TeacherRef(model="resnet50", path=f"/{one}.pt", sha256=one * 32),)


def test_of_one_and_the_same_there_is_nothing_to_say() -> None:
    assert differences(spec(), spec(recipe_name="mine")) == []
    assert told(spec(), spec()) == ""


@pytest.mark.parametrize(
    ("there", "here", "lines"),
    [
        ({}, {"settings": {"train.lr": 0.01}}, ["train.lr: 0.001 there, 0.01 here"]),
        ({}, {"seed": 1}, ["seed: 0 there, 1 here"]),
        ({}, {"model": "resnet34"}, ["model: resnet18 there, resnet34 here"]),
        (
            {},
            {"settings": {"methods": {"dkd": {"weight": 0.9}}}},
            ["methods.dkd.weight: none there, 0.9 here"],
        ),
        ({}, {"data": OTHER}, ["data: /photos there, /pictures here"]),
        (
            {},
            {"data": DATA.model_copy(update={"identity": {"kind": "folder", "files": "1b"}})},
            ["data: /photos has changed since (files)"],
        ),
        (
            {"data": DATA.model_copy(update={"rules": 2})},
            {"data": DATA.model_copy(update={"rules": 3})},
            ["data: read by rules 2 of kd there, 3 here"],
        ),
        ({}, {"unlabelled": OTHER}, ["data.unlabelled: none there, /pictures here"]),
        ({}, {"peers": ("vgg11",)}, ["peers: none there, vgg11 here"]),
        (
            {},
            {"weights": FileRef(path="/w.pth", sha256="ab")},
            ["weights.sha256: none there, ab here"],
        ),
        (
            {"teachers": taught_by(spec("teacher"))},
            {"teachers": taught_by(spec("teacher", settings={"train.epochs": 7}))},
            ["teacher: train.epochs: auto there, 7 here"],
        ),
        (
            {"teachers": taught_by("ab")},
            {"teachers": taught_by("cd")},
            ["teacher: made from: /ab.pt (sha256 abababababab) there, /cd.pt (sha256 cdcdcd"],
        ),
        ({}, {"teachers": taught_by("ab")}, ["teachers: none there, resnet50 here"]),
        (
            {"teachers": taught_by("ab")},
            {"teachers": taught_by("ab"), "settings": {"teacher.views": 4, "train.epochs": 9}},
            ["teacher.views: auto there, 4 here"],
        ),
    ],
)
def test_each_key_is_told(there: dict[str, Any], here: dict[str, Any], lines: list[str]) -> None:
    one, other = spec(**there), spec(**here)
    assert one.digest != other.digest
    found = differences(one, other)
    for line in lines:
        assert any(each.startswith(line) for each in found), found
    assert len(differences(other, one)) == len(found)


def test_of_many_a_message_tells_the_first() -> None:
    names = registry.names("methods")[: MOST + 1]
    others = {f"methods.{name}": {"weight": 2.0} for name in names}
    lines = told(spec(), spec(settings=others)).splitlines()[1:]
    assert len(lines) == MOST + 1
    assert lines[-1].startswith("  and ")
