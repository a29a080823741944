"""The record that evaluate and export fill: report.json, `"schema": 1`, key by key.

Accuracies are fractions of test. What does not exist is absent, what cannot be said is null.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kdcli import __version__

_PART = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


class Range(BaseModel):
    """A 95% interval."""

    model_config = _PART
    low: float
    high: float


class Percentiles(BaseModel):
    """Milliseconds per image at batch 1."""

    model_config = _PART
    p50: float
    p90: float


class LatencyMs(BaseModel):
    """One model run in two ways."""

    model_config = _PART
    pytorch: Percentiles
    onnxruntime: Percentiles


class SeedAccuracy(BaseModel):
    """One of several seeds."""

    model_config = _PART
    seed: int
    accuracy: float


class ModelPart(BaseModel):
    """One role. The last two fields are export's, the others evaluate's."""

    model_config = _PART
    name: str
    accuracy: float | None = None
    """The mean where there are several seeds."""
    accuracy_ci95: Range | None = None
    accuracy_sd: float | None = None
    seeds: list[SeedAccuracy] | None = None
    balanced_accuracy: float | None = None
    """Mean recall of the classes that have test images."""
    macro_f1: float | None = None
    worst_class_recall: float | None = None
    worst_class: str | None = None
    """Whose recall that is; of several seeds, the mean."""
    recall: dict[str, float] | None = None
    """By class name; classes without test images are left out."""
    recall_ci95: dict[str, Range] | None = None
    nll: float | None = None
    ece: float | None = None
    agreement: float | None = None
    """Share of images on which its top-1 class is the teacher's."""
    kl_to_teacher: float | None = None
    params: int
    """Of the student, with MACs: of what was exported, where its heads were folded."""
    macs: int | None = None
    """Multiply-accumulates per image; FLOPs are twice that."""
    train_seconds: float | None = None
    epochs: int | None = None
    converged: bool | None = None
    file_bytes: int | None = None
    """Of the fp32 ONNX file."""
    latency_ms: LatencyMs | None = None


class Speedup(BaseModel):
    """Teacher's median latency over the student's."""

    model_config = _PART
    pytorch: float
    onnxruntime: float


class ClassLostMost(BaseModel):
    """The class whose recall falls farthest from teacher to student."""

    model_config = _PART
    name: str
    drop: float
    """teacher - student, > 0."""
    ci95: Range
    """It allows for having picked the worst of all classes."""
    test_images: int


class Comparison(BaseModel):
    """The student against baseline and teacher."""

    model_config = _PART
    gain: float
    """student - baseline."""
    gain_ci95: Range
    p_value: float
    detectable_gain: float
    """The smallest gain that this test set could have shown (80% power)."""
    gap_closed: float | None
    """gain / (teacher - baseline); null where the teacher is not ahead."""
    size_reduction: float
    """1 - params_student / params_teacher."""
    macs_reduction: float | None
    speedup: Speedup | None = None
    """teacher / student, median latency; null before an export."""
    accuracy_drop: float
    """teacher - student."""
    agreement: float
    distillation_score: float | None
    seeds: int
    verdict_code: str
    balanced_gain: float | None = None
    """student - baseline in balanced accuracy."""
    balanced_gain_ci95: Range | None = None
    class_lost_most: ClassLostMost | None = None
    """null where no class lost anything."""


class DataPart(BaseModel):
    """What was tested on; `is_default` is 1 where no --data was given."""

    model_config = _PART
    name: str
    is_default: int
    classes: int
    test_images: int
    imbalance: float | None = None
    """Largest : smallest training class."""
    test_images_by_class: dict[str, int] | None = None
    """By class name, 0 for those without."""


class ParityPart(BaseModel):
    """The file's logits against PyTorch's."""

    model_config = _PART
    max_abs: float
    top1_changed: int
    images: int
    synthetic: bool
    """Compared on made-up images, for want of the data."""
    reference: Literal["float32", "float64"] = "float32"
    """PyTorch's precision; float64 where its own rounding in float32 exceeded the tolerance."""


WantedFold = Literal["auto", "exact", "never"]


class FoldPart(BaseModel):
    """What became of a student's heads in the file. Both answers are measured on validation; null
    where there were no such images, or nothing to measure."""

    model_config = _PART
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

    model_config = _PART
    path: str
    sha256: str
    input: Literal["tensor"] = "tensor"
    precision: Literal["fp32"] = "fp32"
    opset: int
    bytes: int
    parity: ParityPart
    accuracy: float | None
    """Of the file itself, on test."""
    latency_ms: Percentiles
    fold: FoldPart | None = None
    """null where the model has one head."""


class Report(BaseModel):
    """report.json."""

    model_config = _PART
    schema_: Literal[1] = Field(1, alias="schema")
    kd: str = __version__
    run: str
    model_sha256: str
    role: Literal["teacher", "baseline", "student"] = "student"
    """Of the run whose record this is; `models.student` is its model whatever it says."""
    data: DataPart | None = None
    models: dict[str, ModelPart] = {}
    comparison: Comparison | None = None
    verdict: str | None = None
    notes: list[str] = []
    exports: list[Export] | None = None
    measured_on: str | None = None
    """Machine and threads of the latencies."""

    def as_dict(self) -> dict[str, Any]:
        """What report.json holds: roles and fields of models that do not exist are left out."""
        raw = self.model_dump(mode="json", by_alias=True)
        for part in raw["models"].values():
            for key in ("accuracy_sd", "seeds"):
                if part[key] is None:
                    del part[key]
        return raw
