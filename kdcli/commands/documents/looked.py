"""`kd doctor`, `kd inspect`, `kd match`."""

from typing import Any, Literal

from pydantic import Field

from kdcli.commands.doctor import Machine
from kdcli.commands.documents.base import Document
from kdcli.commands.documents.trained import PrognosisPart
from kdcli.commands.match import Answer, Use
from kdcli.data.quality.duplicates import Double
from kdcli.data.quality.survey import Sizes
from kdcli.deploy.onnx_file.read import Port
from kdcli.evaluation.temperature import Level, Shown
from kdcli.models.cards import Card
from kdcli.models.stages import StageTable
from kdcli.plan.loader_speed import LoaderSpeed
from kdcli.report.licences import LicencesPart
from kdcli.report.model import Part
from kdcli.report.schema import Report


class MachineDocument(Document):
    """`kd doctor`."""

    machine: Machine


class DoublesPart(Part):
    """Images that stand in several places."""

    count: int
    examples: list[Double]


class SurveyPart(Part):
    """What `--data` would mean."""

    name: str
    images: dict[str, int]
    classes: dict[str, int]
    imbalance: float | None
    sizes: Sizes | None
    ignored: int
    ignored_files: list[str]
    doubles: DoublesPart
    near_doubles: DoublesPart
    in_two_classes: DoublesPart
    broken: list[str]
    notes: list[str]
    warnings: list[str]
    defaults: dict[str, Any]
    """What `auto` means for these data."""
    loader: LoaderSpeed | None


class DataDocument(Document):
    """`kd doctor DATA`."""

    data: SurveyPart
    prognosis: PrognosisPart | None = None


class ModulePart(Part):
    """`args`: what builds it."""

    class_: str = Field(alias="class")
    params: int
    macs: int | None
    flops: int | None
    args: dict[str, Any]


class NearClass(Part):
    """A class that the model finds alike."""

    class_: str = Field(alias="class")
    mean: float


class AlikePart(Part):
    """Mean soft targets; the whole matrix up to 100 classes."""

    temperature: float
    classes: dict[str, list[NearClass]]
    mean_soft_targets: list[list[float] | None] | None


class SoftenedPart(Part):
    """Answers at several temperatures."""

    data: str
    split: str
    images: int
    accuracy: float
    levels: list[Level]
    shown: list[Shown]
    alike: AlikePart


class InspectedModel(Document):
    """A name that timm knows."""

    kind: Literal["model"]
    card: Card
    module: ModulePart
    temperature: None


class InspectedOnnx(Document):
    """An ONNX file."""

    kind: Literal["onnx"]
    path: str
    file_bytes: int
    sha256: str
    opset: int
    ir_version: int
    producer: str
    nodes: int
    parameters: int
    inputs: list[Port]
    outputs: list[Port]
    metadata: dict[str, str]
    report: Report | None
    temperature: None


class InspectedFile(Document):
    """A run or a model.pt; `recipe` and `provenance` as the file holds them."""

    kind: Literal["run", "file"]
    path: str
    file_bytes: int
    card: Card
    module: ModulePart
    classes: list[str]
    began_pretrained: bool | None
    recipe_name: str | None
    recipe: dict[str, Any]
    provenance: dict[str, Any]
    training: dict[str, Any]
    """Empty of a lone file."""
    needs: dict[str, str]
    licences: LicencesPart
    beside: list[str]
    report: Report | None
    temperature: SoftenedPart | None


class MatchedDocument(Document):
    """Which stage answers which."""

    student: StageTable
    teacher: StageTable
    answers: list[Answer]
    methods: list[Use]
    data: str | None
