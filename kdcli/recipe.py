"""The whole recipe format on one page, as frozen pydantic models.

`auto` means: the data source or the model decides; it is resolved once and written to the run.
`null` means off. Reading the YAML is `recipe_file.py`.
"""

import math
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from kdcli.data_recipe import Auto, Data, Share, Subset
from kdcli.follow_recipe import Checkpoints, Follow
from kdcli.match_recipe import Disturbance
from kdcli.records import OPTIONS
from kdcli.who_recipe import Who

Precision = Literal["fp32", "bf16", "auto"]

_SPAN = re.compile(r"(\d+(?:\.\d+)?) ?(%|epochs?)")


def _check_span(text: str) -> str:
    if not _SPAN.fullmatch(text):
        raise ValueError('expects a span such as "5%" or "20 epochs"')
    return text


Span = Annotated[str, AfterValidator(_check_span)]


def span_epochs(span: str, epochs: int) -> float:
    """A span such as `"5%"` or `"20 epochs"` in epochs of a training that lasts `epochs`."""
    number, unit = _SPAN.fullmatch(span).groups()  # type: ignore[union-attr]  # validated
    return float(number) * epochs / 100 if unit == "%" else float(number)


class Ramp(BaseModel):
    """A weight that moves and then stays."""

    model_config = OPTIONS
    from_: float = Field(alias="from", ge=0)
    to: float = Field(ge=0)
    over: Span
    """How long it takes."""
    start: Span = "0%"
    """When it begins; before that the weight is `from`."""
    shape: Literal["line", "gaussian"] = "line"
    """`gaussian` goes exp(-5 (1 - x)^2) of the way when the share x of `over` is done: slowly at
    first (Laine, Aila, arXiv:1610.02242)."""

    def at(self, epoch: float, epochs: int) -> float:
        """The weight after `epoch` (fractional) of `epochs`."""
        begin, length = span_epochs(self.start, epochs), span_epochs(self.over, epochs)
        if epoch < begin:
            return self.from_
        way = min((epoch - begin) / length, 1.0) if length else 1.0
        if self.shape == "gaussian":
            way = math.exp(-5 * (1 - way) ** 2)
        return self.from_ + (self.to - self.from_) * way


Weight = Annotated[float, Field(ge=0)] | Ramp


def weight_at(weight: Weight, epoch: float, epochs: int) -> float:
    """The value of a weight after `epoch` (fractional) of `epochs`."""
    return weight.at(epoch, epochs) if isinstance(weight, Ramp) else weight


class Task(BaseModel):
    """Learning from labels."""

    model_config = OPTIONS
    weight: Weight = 1.0
    """Of the cross-entropy with the labels."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """eps: each target becomes (1 - eps) · label + eps / K."""


class MethodUse(BaseModel):
    """One entry under `methods:`; its further keys are the method's own options."""

    model_config = OPTIONS | ConfigDict(extra="allow")
    use: str | None = None
    """The method, where the key is another name for it."""
    weight: Weight
    """Of this term; by default the method's published weight beside a task weight of 1."""

    @property
    def options(self) -> dict[str, Any]:
        """The method's own options."""
        return dict(self.model_extra or {})


class Student(BaseModel):
    """How the model that learns is built."""

    model_config = OPTIONS
    pretrained: bool | Auto = "auto"
    """Start from timm's weights."""
    stem_stride: Literal[1, 2] | None = None
    """1 suits images of 64 pixels and less: first strided convolution, max-pool right behind."""
    precision: Precision = "auto"
    """Of its training steps; evaluation is always fp32."""


class TeacherSettings(BaseModel):
    """How a teacher is made and run."""

    model_config = OPTIONS
    pretrained: bool | Auto = "auto"
    """As student.pretrained, for a teacher that has to be trained."""
    stem_stride: Literal[1, 2] | None = None
    """As student.stem_stride, for a teacher that has to be trained."""
    precision: Precision = "auto"
    """Of its forward pass while teaching."""
    recipe: str = "supervised"
    """What trains it when there is none."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Its own, so that all students of a comparison have the same teacher."""
    tune: Literal["all", "head"] = "all"
    """As train.tune, for a teacher that has to be trained."""
    seeds: Annotated[int, Field(ge=1)] = 1
    """So many members of each teacher that has to be trained: they differ in their seeds, from
    `seed` on."""
    subset: Subset = 1.0
    """As data.subset, for teachers that have to be trained: each member draws its own."""
    follow: Follow = "finished"
    """The student follows the teacher through the checkpoints of its training (`trajectory`), or
    step by step while both learn (`together`)."""
    checkpoints: Checkpoints = Checkpoints()
    """Of a trajectory."""
    allow_weak: bool = False
    """Go on with a given teacher that is hardly better than chance."""


class Until(BaseModel):
    """Good enough: training may end."""

    model_config = OPTIONS
    accuracy: Annotated[float, Field(gt=0, le=1)]
    """On validation."""


class Train(BaseModel):
    """The training itself; the baseline gets the same."""

    model_config = OPTIONS
    epochs: Annotated[int, Field(ge=1)] | Auto = "auto"
    batch_size: Annotated[int, Field(ge=2)] | Auto = "auto"
    """At least 2: batch norm has nothing to average over in one image."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """SGD has Nesterov momentum 0.9."""
    lr: Annotated[float, Field(gt=0)] | Auto = "auto"
    """At its peak; warm-up before, cosine to zero behind."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    """Never on biases and norms."""
    warmup: Span | None = "5%"
    clip: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest norm of the gradient."""
    patience: Annotated[int, Field(ge=1)] | Auto | None = "auto"
    """End after so many epochs without a better best epoch (converged): validation accuracy, and
    NLL where that is equal."""
    until: Until | None = None
    """End as soon as this is reached (satisfactory)."""
    select: Literal["accuracy", "balanced_accuracy"] = "accuracy"
    """What the best epoch is best at, on validation."""
    balance: Literal["none", "sampler", "loss"] = "none"
    """Of rare classes: shown as often as the others, or weighted in the labels' loss."""
    tune: Literal["all", "head"] = "all"
    """`head`: the frozen trunk runs once over the data, and only the classifier is fitted."""
    trunk_lr: Annotated[float, Field(gt=0, le=1)] | Auto = "auto"
    """The rate of all but the classifier, as a share of lr."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """alpha of Beta(alpha, alpha) for blending pairs of images; 0 is off (arXiv:1710.09412)."""
    cutmix: Annotated[float, Field(ge=0)] = 0.0
    """The same for pasting a box of one image into another (arXiv:1905.04899)."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of a moving average of the weights, which is then what is measured and ships."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Split each batch into so many parts that pass through the model one after another."""


class Match(BaseModel):
    """Which stage answers which, and how a teacher's answers reach the methods."""

    model_config = OPTIONS
    pairs: list[Annotated[list[int], Field(min_length=2, max_length=2)]] | None = None
    """Stages by number, the student's first: [[1, 1], [2, 3]]; `null` lets kd choose."""
    adapter: Literal["auto", "none", "conv"] = "auto"
    """Between a student's map and its teacher's: a 1x1 convolution where channels or grids differ,
    never, or always."""
    augment: Annotated[tuple[Disturbance, ...], Field(strict=False)] = ()
    """Disturb what a teacher answers, in this order, before any method sees it."""


class Evaluate(BaseModel):
    """What a comparison counts; never changes a weight."""

    model_config = OPTIONS
    size_priority: Share = 0.5
    """a of the distillation score: 1 looks at size alone, 0 at accuracy alone."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Differences within it count as equal."""


class SchemeUse(BaseModel):
    """`scheme: offline`, or a mapping with `name` and the scheme's own options."""

    model_config = OPTIONS | ConfigDict(extra="allow")
    name: str = "offline"

    @property
    def options(self) -> dict[str, Any]:
        """The scheme's own options."""
        return dict(self.model_extra or {})


class Recipe(BaseModel):
    """How a student is trained."""

    model_config = OPTIONS
    scheme: SchemeUse = SchemeUse()
    task: Task = Task()
    methods: dict[str, MethodUse] = {}
    """Key = the method, and the term's name in logs and in --set."""
    student: Student = Student()
    teacher: TeacherSettings = TeacherSettings()
    data: Data = Data()
    train: Train = Train()
    match: Match = Match()
    evaluate: Evaluate = Evaluate()
    who: Who | None = None


def stored_size(recipe: Recipe) -> int:
    """Random crops are taken from somewhat larger images, as 224 pixels from 256."""
    size = int(recipe.data.image_size)
    return size * 8 // 7 if recipe.data.augment == "crop_flip" else size


def update(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """The recipe with `values` (`{"train.epochs": 20}`) put in, checked again."""
    raw = dump(recipe)
    for path, value in values.items():
        put(raw, path, value)
    return Recipe.model_validate(raw)


def fill_auto(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """The recipe with every `auto` that `values` knows replaced; other values stay."""
    raw = dump(recipe)
    return update(recipe, {p: v for p, v in values.items() if get(raw, p) == "auto"})


def dump(recipe: Recipe) -> dict[str, Any]:
    """Plain mappings, as a recipe file would hold them."""
    raw = recipe.model_dump(by_alias=True)
    if raw["who"] is None:
        del raw["who"]
    for use in raw["methods"].values():
        if use["use"] is None:
            del use["use"]
    return raw


def get(raw: dict[str, Any], path: str) -> Any:
    """The value at `train.epochs`; None where there is none."""
    for key in path.split("."):
        raw = raw.get(key) if isinstance(raw, dict) else None  # type: ignore[assignment]
    return raw


def put(raw: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at `train.epochs`, making mappings on the way."""
    *parents, last = path.split(".")
    for key in parents:
        if key == "scheme" and isinstance(raw.get(key), str):
            raw[key] = {"name": raw[key]}
        if not isinstance(raw.get(key), dict):
            raw[key] = {}
        raw = raw[key]
    raw[last] = value
