"""Every error has its exit code, its words and its place in the tree that is drawn."""

import re

import pytest

from kdcli.core import errors
from kdcli.core.errors import ExitCode, Interrupted, KdError, RecipeError
from kdcli.core.text import counted, did_you_mean

CODES = {
    "UsageError": 2,
    "RecipeError": 2,
    "UnmetNeeds": 2,
    "MissingDevice": 2,
    "DataError": 3,
    "UnfitTeacher": 3,
    "WeightsUnavailable": 3,
    "NotFinite": 4,
    "OutOfMemory": 5,
    "DiskError": 6,
    "DamagedFile": 7,
    "OtherFormat": 7,
    "GateMissed": 8,
    "ParityError": 8,
    "InUse": 9,
    "Interrupted": 130,
}


def every_error():
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, KdError)
    }


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_exit_codes_are_part_of_the_interface(name, code):
    kind = every_error()[name]
    raised = RecipeError(["x"]) if kind is RecipeError else kind("x")
    assert raised.code == code


def test_the_drawn_tree_holds_every_error():
    drawn = set(re.findall(r"[A-Z][a-z]+(?:[A-Z][a-z]+)*", errors.__doc__ or ""))
    assert set(every_error()) <= drawn
    assert set(every_error()) == {"KdError", *CODES}


def test_terminated_is_143():
    assert Interrupted("x", ExitCode.TERMINATED).code == 143


def test_an_error_says_what_and_the_way_out():
    assert str(KdError("a is wrong", "do b")) == "a is wrong\ndo b"
    assert str(KdError("a is wrong")) == "a is wrong"
    assert KdError("a").code == ExitCode.DEFECT


def test_a_recipe_error_keeps_every_problem():
    error = RecipeError(iter(["one", "two"]), "mend them")
    assert error.problems == ("one", "two")
    assert str(error) == "one\ntwo\nmend them"


def test_did_you_mean():
    assert did_you_mean("tempature", ["weight", "temperature"]) == "; did you mean 'temperature'?"
    assert did_you_mean("zzz", ["weight", "temperature"]) == ""
    assert did_you_mean("x", iter(())) == ""


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 epochs"), (1, "1 epoch"), (2000, "2,000 epochs")]
)
def test_one_is_not_many(count: int, words: str) -> None:
    assert counted(count, "epoch") == words
