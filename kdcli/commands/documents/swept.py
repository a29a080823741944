"""`kd sweep`: what becomes of its cells, its plan, its table."""

from typing import Any, Literal

from kdcli.commands.documents.base import Document
from kdcli.commands.documents.trained import ForecastPart
from kdcli.report.candidates import Compared
from kdcli.report.model import Part


class CellPart(Part):
    """A cell; `code`, `reason` and `log` of the job that failed, be it its own or one it needs."""

    cell: dict[str, Any]
    """Where it stands on the axes."""
    run: str
    state: Literal["done", "failed", "not run", "submitted"]
    code: int
    reason: str
    log: str | None


class FailedJob(Part):
    """A job that did not come to its end."""

    job: str
    code: int
    reason: str
    log: str | None
    command: str


class Swept(Part):
    """What became of a sweep."""

    file: str
    done: int
    """Cells that are finished, evaluation included."""
    cells: list[CellPart]
    failed: list[FailedJob]


class SweptDocument(Swept, Document):
    """`kd sweep FILE`; with `error` where a cell failed."""


class JobPart(Part):
    """A job that is not finished; `needs` are names of others."""

    name: str
    kind: str
    title: str
    command: str
    needs: list[str]
    stage: int
    """Those of one number may run at the same time."""


class SweepPlan(Part):
    """What is missing, and what it takes."""

    file: str
    cells: int
    done: int
    """Cells whose student is trained."""
    trainings: dict[str, int]
    """Missing ones, by role."""
    jobs: list[JobPart]
    plans: list[ForecastPart]
    """One for each data set, its trainings one after another."""


class SweepPlanDocument(SweepPlan, Document):
    """`--dry-run`."""


class SweepTable(Part):
    """The groups, of cells that differ in their seed alone, that can be compared by now."""

    cells: int
    done: int
    """Cells whose student is trained."""
    groups: int
    tables: list[Compared]
    """One for each data set."""


class SweepTableDocument(SweepTable, Document):
    """`--table`."""
