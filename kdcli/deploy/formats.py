"""The formats of `kd export` as a table: where each goes, what it refuses, who writes it."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from kdcli.core.errors import UsageError
from kdcli.core.files import sha256
from kdcli.core.progress import Progress
from kdcli.deploy import timm_folder
from kdcli.deploy.onnx_export import export_as_onnx
from kdcli.deploy.outgoing import Outgoing
from kdcli.deploy.result import Kept, Written
from kdcli.deploy.timm_folder import accuracy_of, write_folder
from kdcli.deploy.torch_program import write_program
from kdcli.evaluation.cost import costs
from kdcli.models.model_args import ModelArgs
from kdcli.report.export import PackagePart, listed
from kdcli.report.file import put_package, with_student
from kdcli.report.model import ModelPart
from kdcli.runs.layout import ENDINGS, Format
from kdcli.runs.locate import Located

Write = Callable[[Outgoing, ExitStack, Progress], Written]
"""Writes, loads back and compares; keeps what agrees, at once or when the stack closes."""


@dataclass(frozen=True)
class Exporter:
    """One format."""

    write: Write
    what: str = "a folder"
    """With its article."""
    refuse: Callable[[ModelArgs, Path], None] = lambda args, place: None
    """What can be refused before anything is asked."""


def _package(write: Callable[[Outgoing], Kept], outgoing: Outgoing, *_: object) -> Written:
    """In a format of PyTorch's world: kept at once, and not timed, since it runs as the student
    does."""
    part = ModelPart(name=outgoing.student.args.words, **costs(outgoing.student.args))
    kept = write(replace(outgoing, report=with_student(outgoing.report, part)))
    package = PackagePart(
        format=outgoing.wanted.format,
        path=listed(outgoing.path, outgoing.located.folder),
        sha256=sha256(kept.files[0]),
        bytes=kept.files[0].stat().st_size,
        written_by=kept.written_by,
        parity=kept.parity,
        accuracy=accuracy_of(kept.answers, outgoing.samples),
        fold=outgoing.fold,
    )
    return Written(kept.files, partial(put_package, student=part, package=package))


FORMATS: dict[Format, Exporter] = {
    "onnx": Exporter(export_as_onnx, "an ONNX file"),
    "timm": Exporter(partial(_package, write_folder), refuse=timm_folder.refuse),
    "torch": Exporter(partial(_package, write_program), "a file of torch.export"),
}


def place_of_format(format_: Format, out: Path | None, located: Located) -> Path:
    """Where it goes for `--out`; in a folder a file is called as its model is.

    Raises:
        UsageError: a file of another ending.
    """
    ending = ENDINGS.get(format_)
    if not ending:
        return out or located.timm
    if out is None or out.is_dir():
        return (out or located.exports) / f"{located.stem}{ending}"
    if out.suffix != ending:
        raise UsageError(
            f"--out {out}: {FORMATS[format_].what} ends in {ending}",
            f"--out {out.with_suffix(ending)}; a folder has to be there before: mkdir {out}",
        )
    return out
