"""What is told of methods: `kd list methods`, and docs/methods.md in step with the docstrings."""

from pathlib import Path

import pytest
from house import kd_ok

from kdcli.commands.list import KINDS, MethodPart, methods, values
from kdcli.core import registry

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


def test_the_list_is_that_of_the_catalog_by_kind() -> None:
    found = methods()
    assert sorted(part.name for part in found) == registry.names("methods")
    assert all(part.built_in for part in found)
    places = [(KINDS.index(part.kind), part.name) for part in found]
    assert places == sorted(places)


def test_a_method_as_it_describes_itself() -> None:
    (found,) = [part for part in methods() if part.name == "kd"]
    assert found.paper == registry.describe("methods", "kd")
    assert (found.kind, found.needs, found.default_weight) == ("response", ("logits",), 1.0)
    temperature = found.options[0]
    assert (temperature.name, temperature.values, temperature.default) == (
        "temperature",
        "number > 0",
        4.0,
    )
    assert temperature.what.startswith("Softens both distributions")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "features, logits"),
        ({"student_needs": ("stages",)}, "features, logits; stages of the student"),
        ({"needs": (), "student_needs": ("heads",)}, "heads of the student"),
        ({"learns": True}, "features, logits; learns a module of its own"),
        ({"needs": ("logits",), "needs_teacher": False}, "logits; no teacher"),
    ],
)
def test_needs_in_words(changes: dict[str, object], words: str) -> None:
    usual = {"needs": ("features", "logits"), "student_needs": ()}
    usual |= {"needs_teacher": True, "learns": False, "options": (), "built_in": True}
    usual |= dict.fromkeys(("name", "paper", "notes", "kind", "weight_source"), "")
    usual |= {"default_weight": 1.0}
    assert MethodPart(**(usual | changes)).needs_in_words() == words  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "number", "exclusiveMinimum": 0.0}, "number > 0"),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, "number >= 0 < 1"),
        ({"type": "boolean"}, "boolean"),
        ({"enum": ["joint", "staged"], "type": "string"}, "joint or staged"),
        ({"const": "auto", "type": "string"}, "auto"),
        ({"anyOf": [{"type": "integer", "minimum": 2}, {"type": "null"}]}, "integer >= 2 or null"),
        ({"$ref": "#/$defs/Ramp"}, "value"),
    ],
)
def test_what_an_option_takes_in_words(schema: dict[str, object], words: str) -> None:
    assert values(schema) == words


def test_kd_list_methods() -> None:
    answer = kd_ok("list", "methods")
    for part in methods():
        (row,) = [row for row in answer.out.splitlines() if row.startswith(f"│ {part.name} ")]
        for cell in (
            part.paper,
            part.kind,
            part.needs_in_words(),
            part.weight_in_words(),
        ):
            assert f" {cell} " in row
    found = kd_ok("list", "methods", "--json").document["methods"]
    assert [method["name"] for method in found] == [part.name for part in methods()]
    assert found[0].keys() >= {"paper", "kind", "needs", "default_weight", "options"}
