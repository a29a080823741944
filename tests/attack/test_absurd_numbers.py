"""A number that no arithmetic bears is refused, or ends in words (rows 22, 38)."""

import shutil
from pathlib import Path

import pytest
from contract import holds
from house import STUDENT, House

from kdcli.core import registry
from kdcli.recipe.places import keys

TOLD_TWICE = ("who", "scheme", "methods")
OF_METHODS = [
    f"methods.{name}.{option}"
    for name in registry.names("methods")
    for option in ("weight", *registry.load("methods", name).model_fields)
]
KEYS = sorted({key for key in keys() if key.split(".")[0] not in TOLD_TWICE} | {*OF_METHODS})


@pytest.mark.attack
@pytest.mark.parametrize("key", KEYS)
def test_a_number_beyond_all_bounds(key: str, small: House, pictures: Path) -> None:
    student = ("distill", "--teacher", str(small.teacher), "--student", STUDENT)
    short = ("--data", str(pictures), "--set", "train.epochs=1", "--set", "train.clip=null")
    for number in ("1e38", "1e300"):
        holds(*student, *short, "--set", f"{key}={number}", folder=small.path)
        for run in small.runs("kd-"):
            shutil.rmtree(run)
