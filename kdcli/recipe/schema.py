"""The recipe format as frozen pydantic models: a file per larger key, and the rest on this page.

`auto` means: the data source or the model decides; it is resolved once and written to the run.
`null` means off. Reading the YAML is `load.py`, what cannot go together `conflicts.py`.

A key that is added needs a mark (`core/options.py`): without one it changes the digest of every run
that there is, and all of them would be trained again.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from kdcli.core.options import NO_WEIGHT, Options
from kdcli.recipe.data import Auto, Data, Share
from kdcli.recipe.match import Match
from kdcli.recipe.teacher import Precision, TeacherSettings
from kdcli.recipe.train import Train
from kdcli.recipe.weight import Weight
from kdcli.recipe.who import Who


class Task(Options):
    """Learning from labels."""

    weight: Weight = 1.0
    """Of the cross-entropy with the labels."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """eps: each target becomes (1 - eps) · label + eps / K."""


# "allow": methods may come from plug-ins; `load.py` checks the further keys by the method's class
class MethodUse(Options):
    """One entry under `methods:`; its further keys are the method's own options."""

    model_config = ConfigDict(extra="allow")
    use: str | None = None
    """The method, where the key is another name for it."""
    weight: Weight
    """Of this term; by default the method's published weight beside a task weight of 1."""

    @property
    def options(self) -> dict[str, Any]:
        """The method's own options."""
        return dict(self.model_extra or {})


class Student(Options):
    """How the model that learns is built."""

    pretrained: bool | Auto = "auto"
    """Start from timm's weights."""
    stem_stride: Literal[1, 2] | None = None
    """1 suits images of 64 pixels and less: first strided convolution, max-pool right behind."""
    precision: Precision = "auto"
    """Of its training steps; evaluation is always fp32."""


# 0.5 is the survey's own (Alkhulaifi et al. 2021). A point of accuracy is what a person would call
# no difference; digits at three seeds cannot show less than two (README.md).
class Evaluate(Options):
    """What a comparison counts; never changes a weight."""

    size_priority: Share = 0.5
    """a of the distillation score: 1 looks at size alone, 0 at accuracy alone."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Differences within it count as equal."""


class SchemeUse(Options):
    """`scheme: offline`, or a mapping with `name` and the scheme's own options."""

    model_config = ConfigDict(extra="allow")
    shorthand = "name"
    name: str = "offline"

    @property
    def options(self) -> dict[str, Any]:
        """The scheme's own options."""
        return dict(self.model_extra or {})


class Recipe(Options):
    """How a student is trained."""

    scheme: SchemeUse = SchemeUse()
    task: Task = Task()
    methods: dict[str, MethodUse] = {}
    """Key = the method, and the term's name in logs and in --set."""
    student: Student = Student()
    # in the digest by what it comes to: who teaches, and how it is followed
    teacher: Annotated[TeacherSettings, NO_WEIGHT] = TeacherSettings()
    data: Data = Data()
    train: Train = Train()
    match: Match = Match()
    evaluate: Annotated[Evaluate, NO_WEIGHT] = Evaluate()
    who: Annotated[Who | None, NO_WEIGHT] = None

    @property
    def varies(self) -> bool:
        """Whether an image is shown otherwise from one view to the next."""
        data, train = self.data, self.train
        return any((data.augment, data.randaugment, train.mixup, train.cutmix))
