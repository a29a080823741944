"""`kd schema`: the JSON Schema of report.json and of what each command prints with --json."""

from typing import Any

from pydantic import TypeAdapter

from kdcli.commands.documents.base import Failed
from kdcli.commands.documents.evaluated import (
    ComparedDocument,
    DrawnDocument,
    EvaluatedDocument,
    ExportedDocument,
    PredictedDocument,
)
from kdcli.commands.documents.listed import (
    CheckedDocument,
    MethodsDocument,
    ModelsDocument,
    PrunedDocument,
    RecipesDocument,
    RunsDocument,
    SchemesDocument,
    SettingsDocument,
)
from kdcli.commands.documents.looked import (
    DataDocument,
    InspectedFile,
    InspectedModel,
    InspectedOnnx,
    MachineDocument,
    MatchedDocument,
)
from kdcli.commands.documents.swept import SweepPlanDocument, SweepTableDocument, SweptDocument
from kdcli.commands.documents.trained import (
    Planned,
    SeveralTrained,
    StoredDocument,
    TrainedDocument,
)
from kdcli.core.errors import UsageError
from kdcli.core.text import did_you_mean
from kdcli.report.schema import Report

VERSION = 1
"""Of all of them: `"schema": 1`."""
REPORT = "report.json"
"""Which no command prints alone."""
_TRAINED = TrainedDocument | SeveralTrained | Planned
DOCUMENTS: dict[str, Any] = {
    REPORT: Report,
    "train": _TRAINED,
    "distill": _TRAINED | StoredDocument,
    "evaluate": EvaluatedDocument,
    "compare": ComparedDocument,
    "sweep": SweptDocument | SweepPlanDocument | SweepTableDocument,
    "export": ExportedDocument,
    "predict": PredictedDocument,
    "report": DrawnDocument,
    "doctor": MachineDocument | DataDocument,
    "inspect": InspectedModel | InspectedOnnx | InspectedFile,
    "match": MatchedDocument,
    "list methods": MethodsDocument,
    "list models": ModelsDocument,
    "list recipes": RecipesDocument,
    "list runs": RunsDocument | PrunedDocument,
    "list schemes": SchemesDocument,
    "recipe show": SettingsDocument,
    "recipe check": CheckedDocument,
}
"""By command."""


def schema_of(name: str) -> dict[str, Any]:
    """Of one of `DOCUMENTS`; of a command also of what it prints where it fails. Further keys may
    come within a version.

    Raises:
        UsageError: there is no such command.
    """
    if name not in DOCUMENTS:
        raise UsageError(
            f"{name}: no such document{did_you_mean(name, DOCUMENTS)}",
            f"one of {', '.join(DOCUMENTS)}; without a name, all of them",
        )
    kind = DOCUMENTS[name] if name == REPORT else DOCUMENTS[name] | Failed
    found = TypeAdapter(kind).json_schema(by_alias=True)
    what = name if name == REPORT else f"kd {name} --json"
    about = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:kd:{VERSION}:{name.replace(' ', '-')}",
        "title": f"{what}, version {VERSION}",
    }
    opened: dict[str, Any] = _opened(found)
    return about | {key: value for key, value in opened.items() if key != "title"}


def schemas() -> dict[str, Any]:
    """All of them, by name."""
    return {"schema": VERSION, "documents": {name: schema_of(name) for name in DOCUMENTS}}


def _opened(schema: Any) -> Any:
    """Without the refusal of keys that a later kd may add."""
    if isinstance(schema, list):
        return [_opened(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _opened(value)
        for key, value in schema.items()
        if not (key == "additionalProperties" and value is False)
    }
