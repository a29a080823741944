"""What a report tells of one model."""

from enum import Enum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Unit(Enum):
    """What a number of the report can be; `--min` and `--max` refuse what it cannot."""

    AMOUNT = "never negative"
    SHARE = "a fraction, from 0 to 1"
    CHANGE = "a difference of fractions, of which one point is 0.01"
    RATIO = "any number"


Share = Annotated[float, Unit.SHARE]
Change = Annotated[float, Unit.CHANGE]
Ratio = Annotated[float, Unit.RATIO]
"""Numbers without a unit are amounts."""


class Part(BaseModel):
    """Of a report: frozen, nothing in it but what is declared; no NaN, no infinity."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True
    )


class Range(Part):
    """A 95% interval."""

    low: float
    high: float


ShareRange = Annotated[Range, Unit.SHARE]
ChangeRange = Annotated[Range, Unit.CHANGE]


class Percentiles(Part):
    """Milliseconds per image at batch 1; of a file that takes N images at a time, at batch N."""

    p50: Annotated[float, Field(gt=0)]
    p90: Annotated[float, Field(gt=0)]
    p99: float | None = None
    """null, as what follows, in an earlier kd's record."""
    cold: float | None = None
    """The first image of a file that has just been opened; null in PyTorch, where the module has
    answered before."""
    runs: int | None = None


class DevicePart(Part):
    """A file on the device where it will be used, as bench.py measured it there: milliseconds per
    image at batch 1."""

    device: str
    system: str
    threads: int
    onnxruntime: str
    load_seconds: float
    cold: float
    """The first image of a file that has just been opened."""
    p50: float
    p90: float
    p99: float
    runs: int
    memory_bytes: int | None
    """As `Export.memory_bytes`."""
    fed: list[int] | None = None
    """Shape of the images; null where an earlier kd's bench.py did not say."""


class LatencyMs(Part):
    """One model run in two ways."""

    pytorch: Percentiles
    onnxruntime: Percentiles


class SeedAccuracy(Part):
    """One of several seeds."""

    seed: int
    accuracy: Share


class MapsPart(Part):
    """What a model's attention maps do on test: means over images and stages. Correlations are
    Pearson's over the cells of a map: 1 the same places, 0 unrelated ones, -1 the opposite."""

    flip: Ratio
    """With the mirror image's maps, mirrored back."""
    scale: Ratio
    """With those of the images seen from farther away (0.75) and nearer (1.25)."""
    layers: Ratio | None = None
    """Of one stage's maps with another's; null where there is a single one."""
    entropy: Share
    """As a share of the largest there is: near 1 the maps are flat, and say of no place."""


class TermShare(Part):
    """One term of a role's loss in its last epoch; of several seeds the means."""

    term: str
    """`task`, the labels' own, or what the recipe calls it."""
    weight: float
    loss: Ratio
    """Mean over the epoch, unweighted."""
    share_of_loss: Share | None
    share_of_gradient: Share | None
    """Of the learners' gradient; null where its weight was 0."""


class CurvePart(Part):
    """Where the learning curves end; of several seeds the means."""

    train_accuracy: Share
    """Of the last epoch, as what follows."""
    validation_accuracy: Share
    validation_nll: float | None
    best_epoch: float | None
    """What ships is of this epoch."""
    best_validation_accuracy: Share | None
    """After it."""


class ModelPart(Part):
    """One role. The last two fields are export's, the others evaluate's."""

    name: str
    accuracy: Annotated[Share, Field(ge=0, le=1)] | None = None
    """The mean where there are several seeds."""
    accuracy_ci95: ShareRange | None = None
    accuracy_sd: Share | None = None
    seeds: list[SeedAccuracy] | None = None
    balanced_accuracy: Share | None = None
    """Mean recall of the classes that have test images."""
    macro_f1: Share | None = None
    worst_class_recall: Share | None = None
    worst_class: str | None = None
    """Whose recall that is; of several seeds, the mean."""
    recall: dict[str, Share] | None = None
    """By class name; classes without test images are left out."""
    recall_ci95: dict[str, ShareRange] | None = None
    nll: float | None = None
    ece: Share | None = None
    agreement: Share | None = None
    """Share of images on which its top-1 class is that of the teacher, or of their ensemble."""
    kl_to_teacher: float | None = None
    maps: MapsPart | None = None
    """Of scheme attention_self: of student and baseline."""
    params: Annotated[int, Field(ge=0, lt=10**15)]
    """Of the student, with MACs: of what was exported, where its heads were folded."""
    macs: int | None = None
    """Multiply-accumulates per image; FLOPs are twice that."""
    train_seconds: float | None = None
    epochs: int | None = None
    converged: bool | None = None
    train_accuracy_rise: Change | None = None
    """Of training accuracy, over the last fifth of the epochs; null after a single one."""
    terms: list[TermShare] | None = None
    """The labels' term first; of a role that learnt from more than one."""
    curve: CurvePart | None = None
    """Of a role whose run is at hand."""
    file_bytes: int | None = None
    """Of the fp32 ONNX file."""
    latency_ms: LatencyMs | None = None


class TeacherPart(Part):
    """One member of an ensemble of teachers."""

    name: str
    seed: int | None
    """None: a given file that says none."""
    weight: Share
    """Its share of the ensemble's answer."""
    validation_accuracy: Share
    accuracy: Share
    """On test, as nll."""
    nll: float
    params: int
    macs: int | None
    train_seconds: float | None
