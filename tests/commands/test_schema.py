"""`kd schema`: what the commands print is what their schemas say, no key more."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from house import ON_DIGITS, QUICK_TEACHER, House, kd, kd_ok

from kdcli.commands.schema import DOCUMENTS, REPORT, schema_of

CELL = (
    f"{{teacher: test_resnet, student: test_efficientnet, train.epochs: 2, "
    f"teacher.recipe: {QUICK_TEACHER}}}"
)
WHO = ("--teacher", "test_resnet", "--student", "test_efficientnet")
COMMANDS: dict[str, list[tuple[str, ...]]] = {
    "train": [("test_resnet", "--set", "train.epochs=1"), ("test_resnet", "--dry-run")],
    "distill": [ON_DIGITS[1:], (*ON_DIGITS[1:], "--set", "train.epochs=3", "--dry-run")],
    "evaluate": [
        ("RUN", "--min", "student.accuracy=2%", "--max", "comparison.speedup.pytorch=1e9"),
        ("RUN", "--against", "RELEASE", "--max-drop", "student.accuracy=-1%"),
        ("FILE", "--test", "digits", "--against", "RUN", "--max-ratio", "student.params=1"),
    ],
    "report": [("RUN",), ("RUN", "FILE", "--out", "PAGES/several.html")],
    "compare": [("RUN", "FILE"), ("RUN", "FILE", "--survey")],
    "sweep": [("CELLS",), ("CELLS", "--table"), ("MORE", "--dry-run"), ("PICTURES",)],
    "export": [("RUN", "--max", "exports.0.bytes=1")],
    "predict": [("FILE", "PICTURES"), ("FILE", "PICTURES/two", "nothing*.png")],
    "doctor": [(), ("PICTURES",), ("PICTURES", *WHO, "--dry-run")],
    "inspect": [("test_resnet",), ("RUN",), ("RUN/model.pt",), ("FILE",)],
    "match": [WHO, (*WHO, "--data", "digits")],
    "list methods": [()],
    "list models": [],  # counting takes minutes: below
    "list recipes": [()],
    "list runs": [(), ("--prune",)],
    "list schemes": [()],
    "recipe show": [("kd",)],
    "recipe check": [("kd",), ("nothing-there",)],
}
"""Lines whose documents are looked at."""


def closed(schema: Any) -> Any:
    """The same, refusing keys that it does not know."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {"additionalProperties": False} if "properties" in schema else {}
    return shut | {key: closed(value) for key, value in schema.items()}


def refuse_unknown(name: str, document: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(closed(schema_of(name))).validate(document)


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != REPORT])
def test_a_command_prints_what_its_schema_says(
    name: str, finished: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {
        "RUN": str(finished.student),
        "FILE": str(finished.student / "export" / "model.onnx"),
        "RELEASE": str(finished.student / "report.json"),
        "PICTURES": str(pictures),
        "PAGES": str(finished.path),
        "CELLS": str(finished.path / "cells.yaml"),
        "MORE": str(finished.path / "more.yaml"),
    }
    for place, seeds in (("CELLS", "[0]"), ("MORE", "[0, 1]")):
        Path(places[place]).write_text(f"common: {CELL}\naxes: {{seed: {seeds}}}\n", "utf-8")
    for line in COMMANDS[name]:
        words = []
        for word in line:
            first, slash, rest = word.partition("/")
            words.append(places.get(first, first) + slash + rest)
        answer = kd(*name.split(), *words, "--json")
        assert answer.code in (0, 2, 3, 8), answer.err
        refuse_unknown(name, answer.document)


def test_students_that_fit_are_listed_as_their_schema_says() -> None:
    from kdcli.cli import list_models
    from kdcli.core.latency import Latency
    from kdcli.plan.fitting_students import Candidate, Found, Limits

    timed = Candidate("a", 32, 5, None, False, None, Latency(1, 2, 3, 4, 5, (1.0,)), "note")
    found = Found(Limits(max_ms=1), 2, {"max_ms": 1}, "m", Path(), [timed])
    document = vars(list_models)["_document"](found)
    refuse_unknown("list models", json.loads(json.dumps({"schema": 1, **document})))


def test_the_record_is_what_its_schema_says(finished: House) -> None:
    refuse_unknown(REPORT, json.loads((finished.student / "report.json").read_text("utf-8")))
    kd_ok("evaluate", finished.student, "--against", finished.student)
    refuse_unknown(REPORT, json.loads((finished.student / "report.json").read_text("utf-8")))


def test_schemas_are_printed_by_name_or_all() -> None:
    found = kd_ok("schema", "list", "runs")
    assert found.document == schema_of("list runs")
    assert found.document["$id"] == "urn:kd:1:list-runs"
    assert set(kd_ok("schema").document["documents"]) == set(DOCUMENTS)
    wrong = kd("schema", "evalute")
    assert (wrong.code, "did you mean 'evaluate'" in wrong.err) == (2, True)
    for name in DOCUMENTS:
        jsonschema.Draft202012Validator.check_schema(schema_of(name))
