"""The record that evaluate and export fill: report.json, `"schema": 1`, key by key.

Accuracies are fractions of test. What does not exist is absent, what cannot be said is null.
"""

from collections.abc import Container, Iterable
from typing import Any, Literal

from pydantic import BaseModel, Field

from kdcli import __version__
from kdcli.commands.licence_part import LicencesPart
from kdcli.commands.model_part import (
    PART,
    DevicePart,
    ModelPart,
    Percentiles,
    Range,
    TeacherPart,
)
from kdcli.commands.precision_part import QuantizedPart, WorthPart
from kdcli.nearness import Closer


class Speedup(BaseModel):
    """Teacher's median latency over the student's."""

    model_config = PART
    pytorch: float
    onnxruntime: float


class ClassLostMost(BaseModel):
    """The class whose recall falls farthest from teacher to student."""

    model_config = PART
    name: str
    drop: float
    """teacher - student, > 0."""
    ci95: Range
    """It allows for having picked the worst of all classes."""
    test_images: int


class CloserTo(BaseModel):
    """Whom the student takes after, its ensemble or the best single teacher, in three ways.

    Undecided where the 95% interval of the difference of both distances holds 0.
    """

    model_config = PART
    accuracy: Closer
    """Whose accuracy is nearer."""
    agreement: Closer
    """Whose top-1 classes it gives more often."""
    kl: Closer
    """Whose probabilities are nearer."""


class EnsembleComparison(BaseModel):
    """The student against an ensemble of teachers, and against the best of them on its own."""

    model_config = PART
    members: int
    best: int
    """Index in `teachers` of the best single one, by validation accuracy."""
    gain_over_single: float
    """ensemble - best single teacher; intervals are paired, over images (and seeds)."""
    gain_over_single_ci95: Range
    gap_kept: float | None
    """(student - single) / (ensemble - single); null below a point of ensemble - single."""
    gap_to_ensemble: float
    """student - ensemble."""
    gap_to_ensemble_ci95: Range
    gap_to_single: float
    """student - best single teacher."""
    gap_to_single_ci95: Range
    agreement_with_ensemble: float
    agreement_with_single: float
    agreement_with_members: float
    """The mean over all of them."""
    kl_to_ensemble: float
    kl_to_single: float
    kl_to_members: float
    closer_to: CloserTo
    params_ratio: float = 1.0
    """ensemble / student; filled as `Comparison.size_reduction`."""
    macs_ratio: float | None = None


class Comparison(BaseModel):
    """The student against baseline and teacher; of several teachers, against their ensemble.

    What compares with a teacher is null where there is none: in online and self-distillation.
    """

    model_config = PART
    gain: float
    """student - baseline."""
    gain_ci95: Range
    p_value: float
    detectable_gain: float
    """The smallest gain that this test set could have shown (80% power)."""
    gap_closed: float | None = None
    """gain / (teacher - baseline); null where the teacher is not ahead."""
    size_reduction: float | None = None
    """1 - params_student / params_teacher. What compares costs is filled whenever the record is
    written, with what the models cost by then."""
    macs_reduction: float | None = None
    speedup: Speedup | None = None
    """teacher / student, median latency; null before an export."""
    accuracy_drop: float | None = None
    """teacher - student."""
    agreement: float | None = None
    distillation_score: float | None = None
    size_priority: float | None = None
    """a of the distillation score; null in an earlier kd's record."""
    seeds: int
    verdict_code: str
    balanced_gain: float | None = None
    """student - baseline in balanced accuracy."""
    balanced_gain_ci95: Range | None = None
    class_lost_most: ClassLostMost | None = None
    """null where no class lost anything."""
    ensemble: EnsembleComparison | None = None
    """null where there is one teacher."""


class DataPart(BaseModel):
    """What was tested on; `is_default` is 1 where no --data was given."""

    model_config = PART
    name: str
    is_default: int
    classes: int
    test_images: int
    imbalance: float | None = None
    """Largest : smallest training class."""
    test_images_by_class: dict[str, int] | None = None
    """By class name, 0 for those without."""


class ParityPart(BaseModel):
    """The file's answers (logits or probabilities) against PyTorch's."""

    model_config = PART
    max_abs: float
    top1_changed: int
    images: int
    synthetic: bool
    """Compared on made-up images, for want of the data."""
    reference: Literal["float32", "float64"] = "float32"
    """PyTorch's precision; float64 where its own rounding in float32 exceeded the tolerance."""
    tolerance: float | None = 1e-3
    """What `max_abs` was held to; null: any finite number (int8, where classes are held)."""
    agreement: float | None = None
    """Share of images with the same top-1 class; null in an earlier kd's record."""


WantedFold = Literal["auto", "exact", "never"]
Protocol = Literal["quick", "thorough"]
"""Of timings: some seconds per file, which is indicative; 1,024 samples and a minute at least."""
Precision = Literal["fp32", "int8", "fp16"]
InputKind = Literal["tensor", "pixels"]
Format = Literal["onnx", "timm", "torch"]


class FoldPart(BaseModel):
    """What became of a student's heads in the file. Both answers are measured on validation; null
    where there were no such images, or nothing to measure."""

    model_config = PART
    wanted: WantedFold
    heads: int
    folded: int
    """1: into one head; 0: the file holds all of them, and how they answer as one."""
    reason: str
    accuracy_exact: float | None = None
    accuracy_folded: float | None = None
    drop: float | None = None
    """exact - folded."""
    agreement: float | None = None
    kl: float | None = None
    """Mean KL(exact || folded), nats."""
    ece_exact: float | None = None
    ece_folded: float | None = None


class Export(BaseModel):
    """One file written."""

    model_config = PART
    path: str
    sha256: str
    input: InputKind = "tensor"
    resize: Literal[0, 1] = 0
    """1: it takes images of any height and width."""
    batch: int | None = None
    """Images that it takes at a time; null: any number."""
    precision: Precision = "fp32"
    opset: int
    bytes: int
    parity: ParityPart
    accuracy: float | None
    """Of the file itself, on test."""
    latency_ms: Percentiles
    memory_bytes: int | None = None
    """Most that a process with numpy and onnxruntime alone has while it opens and runs the file,
    beyond what it had before; null where the system does not say."""
    measured: list[DevicePart] = []
    """One per device and number of threads."""
    fold: FoldPart | None = None
    """null where the model has one head."""
    quantized: QuantizedPart | None = None
    """null where it is not int8."""
    worth: WorthPart | None = None
    """null for fp32, which the others are compared with."""


class PackagePart(BaseModel):
    """The student as PyTorch's world takes it: a folder for timm, or a file of torch.export."""

    model_config = PART
    format: Literal["timm", "torch"]
    path: str
    sha256: str
    """Of the file that holds the weights, as `bytes`."""
    bytes: int
    written_by: str
    """`timm 1.0.31`, `torch 2.15.0`."""
    parity: ParityPart
    accuracy: float | None
    """Of what was loaded back, on test."""
    fold: FoldPart | None = None
    """null where the model has one head."""


class Report(BaseModel):
    """report.json."""

    model_config = PART
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
    noise: float | None = None
    """How far two timings of the same file lay apart meanwhile, as a fraction; in onnxruntime."""
    noise_pytorch: float | None = None
    """The same of the student in PyTorch."""

    def as_dict(self) -> dict[str, Any]:
        """What report.json holds: roles and fields of models that do not exist are left out."""
        raw = self.model_dump(mode="json", by_alias=True)
        for part in raw["models"].values():
            for key in ("accuracy_sd", "seeds", "maps"):
                if part[key] is None:
                    del part[key]
        for key in ("teachers", "packages"):
            if raw[key] is None:
                del raw[key]
        return raw


def imitated(roles: Container[str]) -> str | None:
    """Whom the student is compared with: the ensemble, where there is one; None: no teacher."""
    return next((role for role in ("ensemble", "teacher") if role in roles), None)


def between(roles: Iterable[str]) -> list[str]:
    """Assistants and generations on the way to the student, from the head of the chain down."""
    return [role for role in roles if role.startswith(("assistant", "generation_"))]
