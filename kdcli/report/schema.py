"""The record that evaluate and export fill: report.json, `"schema": 1`, key by key.

Accuracies are fractions of test. What does not exist is absent, what cannot be said is null.
"""

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from kdcli import __version__
from kdcli.report.against import AgainstPart
from kdcli.report.choices import Protocol
from kdcli.report.comparison import Comparison
from kdcli.report.export import Export, PackagePart
from kdcli.report.licences import LicencesPart
from kdcli.report.model import ModelPart, Part, Ratio, TeacherPart


class DataPart(Part):
    """What was tested on; `is_default` is 1 where no --data was given."""

    name: str
    is_default: int
    classes: int
    test_images: int
    imbalance: float | None = None
    """Largest : smallest training class."""
    test_images_by_class: dict[str, int] | None = None
    """By class name, 0 for those without."""
    test_images_seen: int | None = None
    """That stand among training or validation images, too, byte for byte; null in an earlier kd's,
    and of a model that nobody knows the training images of."""


class Report(Part):
    """report.json: evaluate and export fill it, each in its part; docs/report.md has every key."""

    schema_: Literal[1] = Field(1, alias="schema")
    kd: str = __version__
    run: str
    model_sha256: str
    role: str = "student"
    """Of the run whose record this is, or of another model there (`exit_1`); `models.student` is
    that model whatever it says."""
    data: DataPart | None = None
    models: dict[str, ModelPart] = {}
    teachers: list[TeacherPart] | None = None
    """The members of an ensemble, in their order."""
    comparison: Comparison | None = None
    against: AgainstPart | None = None
    """Only of `kd evaluate --against RELEASE`."""
    verdict: str | None = None
    notes: list[str] = []
    licences: LicencesPart | None = None
    """Of the model whose record this is; null in an earlier kd's."""
    exports: list[Export] | None = None
    packages: list[PackagePart] | None = None
    """What is not ONNX."""
    measured_on: str | None = None
    """Machine and threads of the latencies."""
    processor: str | None = None
    """Of that machine. This and what follows is null before an export of this kd."""
    threads: int | None = None
    protocol: Protocol | None = None
    noise: Ratio | None = None
    """How far two timings of the same file lay apart meanwhile, as a fraction; in onnxruntime."""
    noise_pytorch: Ratio | None = None
    """The same of the student in PyTorch."""

    def as_dict(self) -> dict[str, Any]:
        """What report.json holds: roles and fields of models that do not exist are left out."""
        raw = self.model_dump(mode="json", by_alias=True)
        for part in raw["models"].values():
            for key in ("accuracy_sd", "seeds", "maps", "terms", "curve"):
                if part[key] is None:
                    del part[key]
        for key in ("teachers", "packages", "against"):
            if raw[key] is None:
                del raw[key]
        return raw


def imitated(roles: Container[str]) -> str | None:
    """Whom the student is compared with: the ensemble, where there is one; None: no teacher."""
    return next((role for role in ("ensemble", "teacher") if role in roles), None)


def has_other_classes(report: Report) -> bool:
    """Whether its teacher has been taken as it is, and answers none of the data's classes, so that
    nothing is compared with it but what it costs."""
    teacher = report.models.get("teacher")
    return report.data is not None and teacher is not None and teacher.accuracy is None


def between(roles: Iterable[str]) -> list[str]:
    """Assistants and generations on the way to the student, from the head of the chain down."""
    return [role for role in roles if role.startswith(("assistant", "generation_"))]


def main_index(report: Report) -> int | None:
    """Of the fp32 file in the run's own folder, the last that the record lists; where all were
    written elsewhere, of the last of those. None: nothing was exported."""
    fp32 = [i for i, one in enumerate(report.exports or []) if one.precision == "fp32"]
    own = [i for i in fp32 if not Path((report.exports or [])[i].path).is_absolute()]
    return next(reversed(own or fp32), None)


def main_export(report: Report) -> Export | None:
    """What is meant by "the file" of a model."""
    index = main_index(report)
    return None if index is None or report.exports is None else report.exports[index]
