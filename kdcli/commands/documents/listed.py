"""`kd list`, `kd recipe`."""

from typing import Any

from pydantic import Field

from kdcli.commands.documents.base import Document
from kdcli.commands.list import MethodPart, SchemePart
from kdcli.plan.fitting_students import Candidate, Limits
from kdcli.report.model import Part


class MethodsDocument(Document):
    """`kd list methods`."""

    methods: list[MethodPart]


class SchemesDocument(Document):
    """`kd list schemes`."""

    schemes: list[SchemePart]


class RecipesDocument(Document):
    """`kd list recipes`: what each is for."""

    recipes: dict[str, str]


class ModelsDocument(Document):
    """`kd list models`; `excluded` counts by the limit that excludes."""

    limits: Limits
    considered: int
    excluded: dict[str, int]
    machine: str
    best: str | None
    models: list[Candidate]


class RunPart(Part):
    """A run's folder; figures as far as they are known."""

    run: str
    asked: bool
    finished: bool
    role: str
    state: str
    bytes: int
    date: str
    training: dict[str, Any] | None
    test_accuracy: float | None
    verdict_code: str | None
    params: int | None
    file_bytes: int | None
    latency_ms: float | None
    damaged: list[str]
    """What no command could use, a line with its path each."""


class StorePart(Part):
    """Teachers' answers."""

    store: str
    bytes: int
    date: str
    used_by: list[str]


class RunsDocument(Document):
    """`kd list runs`."""

    runs: list[RunPart]
    answers: list[StorePart]


class PrunedItem(Part):
    """What nobody needs."""

    path: str
    bytes: int
    why: str
    removed: bool


class PrunedPart(Part):
    """`done`: somebody agreed."""

    done: bool
    bytes: int
    items: list[PrunedItem]


class PrunedDocument(Document):
    """`kd list runs --prune`."""

    prune: PrunedPart


class SettingPart(Part):
    """`from`: the file, flag or default that says so."""

    value: Any
    from_: str = Field(alias="from")


class SettingsDocument(Document):
    """`kd recipe show`."""

    settings: dict[str, SettingPart]
    teachers: list[str]


class CheckedDocument(Document):
    """`kd recipe check`."""

    recipe: str
    ok: bool
