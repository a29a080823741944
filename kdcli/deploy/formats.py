"""The formats of `kd export` beside ONNX: what each refuses, how it is made, what is recorded."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from kdcli.core.files import sha256
from kdcli.deploy.model_card import model_card, origin_of
from kdcli.deploy.samples import Samples
from kdcli.deploy.timm_folder import accuracy_of, refuse_taken, write_folder
from kdcli.deploy.torch_program import write_program
from kdcli.evaluation.cost import costs
from kdcli.models.loading import Loaded
from kdcli.models.model_args import ModelArgs
from kdcli.models.timm_folder import refuse_heads, refuse_unknown_to_timm
from kdcli.report.export import FoldPart, PackagePart, listed
from kdcli.report.file import put_package, with_student
from kdcli.report.model import ModelPart
from kdcli.report.schema import Report
from kdcli.runs.locate import Located

Format = Literal["timm", "torch"]


def refuse(format: Format, args: ModelArgs, place: Path) -> None:
    """What can be refused before anything is asked.

    Raises:
        UsageError: a place that is taken.
        UnmetNeeds: a model that the format cannot hold.
    """
    if format == "timm":
        refuse_unknown_to_timm(args)
        refuse_taken(place)


def make_package(
    format: Format,
    student: Loaded,
    place: Path,
    samples: Samples,
    fold: FoldPart | None,
    located: Located,
    report: Report,
) -> tuple[list[Path], Callable[[Report], Report]]:
    """The files at `place`, all or none, and what puts them on record; a card tells of `report`.

    Raises:
        UnmetNeeds: several heads, where the format has one.
        ParityError: what was loaded back disagrees.
    """
    origin = origin_of(student, located)
    part = ModelPart(name=student.args.words, **costs(student.args))
    if format == "timm":
        refuse_heads(student.args, fold.reason if fold else "")
        card = partial(model_card, with_student(report, part), origin, fold)
        kept = write_folder(student, place, samples, origin.licence, card)
    else:
        kept = write_program(student, place, samples, origin.licence)
    package = PackagePart(
        format=format,
        path=listed(place, located.folder),
        sha256=sha256(kept.files[0]),
        bytes=kept.files[0].stat().st_size,
        written_by=kept.written_by,
        parity=kept.parity,
        accuracy=accuracy_of(kept.answers, samples),
        fold=fold,
    )
    return kept.files, partial(put_package, student=part, package=package)
