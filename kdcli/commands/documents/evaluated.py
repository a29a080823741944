"""`kd evaluate`, `kd export`, `kd report`, `kd compare`, `kd predict`."""

from pydantic import Field

from kdcli.commands.documents.base import Document, ErrorPart
from kdcli.report.candidates import Compared
from kdcli.report.model import Part, Range
from kdcli.report.schema import Report


class GatePart(Part):
    """A gate; `before` and `now` of --max-drop and --max-ratio; `why` where the value is null."""

    gate: str
    limit: float
    value: float | None
    ci95: Range | None
    passed: bool
    before: float | None = None
    now: float | None = None
    why: str | None = None


class EvaluatedDocument(Report):
    """The report; `run` is the folder, with --test what was typed, as `model`."""

    gates: list[GatePart]
    model: str | None = None
    error: ErrorPart | None = None


class ExportedDocument(Report):
    """The report; `file` is what was written first."""

    gates: list[GatePart]
    file: str | None = None
    files: list[str]
    error: ErrorPart | None = None


class ComparedDocument(Compared, Document):
    """Who is best."""


class DrawnDocument(Document):
    """The page; `lacking` says why, by the titles of sections that show nothing."""

    runs: list[str]
    """As typed where there are several."""
    sentence: str | None
    """Who is best, of several."""
    file: str
    bytes: int
    sections: list[str]
    lacking: dict[str, str]


class GuessPart(Part):
    """A class."""

    class_: str = Field(alias="class")
    probability: float


class PredictionPart(Part):
    """The likeliest class first."""

    image: str
    top: list[GuessPart]


class SkippedPart(Part):
    """An image that cannot be read."""

    image: str
    why: str


class PredictedDocument(Document):
    """The answers, in the order of the images."""

    model: str
    predictions: list[PredictionPart]
    skipped: list[SkippedPart]
