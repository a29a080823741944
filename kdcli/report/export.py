"""What a report tells of a file of less precision: how it was made, and whether it is worth it."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import AfterValidator

from kdcli.report.choices import Calibration, InputKind, Integer, Precision, Target, WantedFold
from kdcli.report.model import Change, ChangeRange, DevicePart, Part, Percentiles, Ratio, Share
from kdcli.runs.layout import Format


class TriedPart(Part):
    """One way to quantise, measured on validation."""

    calibration: Calibration
    preprocessed: int
    left_out: list[str] = []
    accuracy: Share | None = None
    """null, with all that follows, where it failed."""
    kl: float | None = None
    """Mean KL(fp32 || this), nats."""
    speedup: float | None = None
    """fp32 / this, timed quickly, side by side with the others."""
    bytes: int | None = None
    failed: str | None = None


class QuantizedPart(Part):
    """How an int8 file was made; chosen on validation."""

    target: Target
    calibration: Calibration
    images: int
    """Training images that it was calibrated on."""
    preprocessed: int
    """1: by onnxruntime's pre-processing."""
    left_out: list[str]
    """Nodes that stay in float32."""
    activations: Integer
    weights: Literal["int8"] = "int8"
    """With a scale for each channel."""
    reduce_range: int
    """1: weights of 7 bits, for an x86 processor without VNNI."""
    validation_images: int
    accuracy: Share
    """On validation."""
    accuracy_fp32: Share
    noise: Ratio
    """Speeds that differ by no more counted as equal."""
    tried: list[TriedPart]


class WorthPart(Part):
    """Whether a smaller precision is worth it on the machine that timed it."""

    bytes_ratio: float
    """fp32 / this."""
    accuracy_change: Change | None
    """this - fp32, both files on test; null where there were no such images."""
    accuracy_change_ci95: ChangeRange | None
    """Paired over images."""
    speedup: float
    """fp32 / this, p50."""
    noise: Ratio
    """How far two timings of the same file lay apart."""
    worth_it: int
    reason: str


AnyPath = TypeVar("AnyPath", bound=PurePath)


def named(path: AnyPath, precision: Precision) -> AnyPath:
    """The family of `model.onnx`: itself, `model.int8.onnx`, `model.fp16.onnx`."""
    return path if precision == "fp32" else path.with_suffix(f".{precision}{path.suffix}")


def smaller(path: AnyPath) -> dict[Precision, AnyPath]:
    """The family without the fp32 file itself."""
    return {one: named(path, one) for one in get_args(Precision) if one != "fp32"}


def listed(path: Path, folder: Path) -> str:
    """As the report lists it: relative where it lies in the run's folder, else absolute."""
    place = path.parent.resolve() / path.name  # a link there is replaced, not followed
    inside = place.is_relative_to(folder.resolve())
    return place.relative_to(folder.resolve()).as_posix() if inside else str(place)


class ParityPart(Part):
    """The file's answers (logits or probabilities) against PyTorch's."""

    max_abs: float
    top1_changed: int
    images: int
    synthetic: bool
    """Compared on made-up images, for want of the data."""
    reference: Literal["float32", "float64"] = "float32"
    """PyTorch's precision; float64 where its own rounding in float32 exceeded the tolerance."""
    tolerance: float | None = 1e-3
    """What `max_abs` was held to; null: any finite number (int8, where classes are held)."""
    agreement: Share | None = None
    """Share of images with the same top-1 class; null in an earlier kd's record."""


class FoldPart(Part):
    """What became of a student's heads in the file. Both answers are measured on validation; null
    where there were no such images, or nothing to measure."""

    wanted: WantedFold
    heads: int
    folded: int
    """1: into one head; 0: the file holds all of them, and how they answer as one."""
    reason: str
    accuracy_exact: Share | None = None
    accuracy_folded: Share | None = None
    drop: Change | None = None
    """exact - folded."""
    agreement: Share | None = None
    kl: float | None = None
    """Mean KL(exact || folded), nats."""
    ece_exact: Share | None = None
    ece_folded: Share | None = None


class Export(Part):
    """One file written."""

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
    accuracy: Share | None
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


def place_of(export: Export, folder: Path) -> Path:
    """Where a file lies that the report in `folder` lists."""
    return folder / export.path


def replaced(known: list[Export], written: list[Export]) -> list[Export]:
    """The record's list with a family written anew, fp32 first, in the slot of its fp32 entry.

    Its files that were not written again are gone: they were made from an earlier fp32 file.
    """
    first = PurePath(written[0].path)
    gone = {(str(place), precision) for precision, place in smaller(first).items()}
    paths = {one.path for one in written}
    family = [i for i, one in enumerate(known) if one.path in paths or _key(one) in gone]
    slot = next((i for i, one in enumerate(known) if one.path == written[0].path), None)
    if slot is None:
        slot = family[0] if family else len(known)
    before, after = (
        [one for i, one in enumerate(known) if i not in family and (i < slot) is early]
        for early in (True, False)
    )
    return [*before, *written, *after]


def _key(export: Export) -> tuple[str, Precision]:
    return str(PurePath(export.path)), export.precision


def _of_pytorch(format_: Format) -> Format:
    if format_ == "onnx":
        raise ValueError("an ONNX file is an entry of exports")
    return format_


class PackagePart(Part):
    """The student as PyTorch's world takes it: a folder for timm, or a file of torch.export."""

    format: Annotated[Format, AfterValidator(_of_pytorch)]
    path: str
    sha256: str
    """Of the file that holds the weights, as `bytes`."""
    bytes: int
    written_by: str
    """`timm 1.0.31`, `torch 2.15.0`."""
    parity: ParityPart
    accuracy: Share | None
    """Of what was loaded back, on test."""
    fold: FoldPart | None = None
    """null where the model has one head."""
