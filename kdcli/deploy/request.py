"""What `kd export` was asked: of whom, where to, and what its files shall be like."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from kdcli.core.errors import UsageError
from kdcli.deploy.onnx_file.pixels import RESIZES, Front
from kdcli.models.model_args import ModelArgs
from kdcli.report.choices import InputKind, Precision, Protocol, Target, WantedFold
from kdcli.runs.layout import Format


@dataclass(frozen=True)
class Wanted:
    """What the files shall be like, in the order of the flags; fp32 is always made."""

    format: Format = "onnx"
    input: InputKind = "tensor"
    resize: bool = False
    """Its graph cuts pixels of any height and width to size."""
    batch: int | None = None
    """Images at a time; None: any number."""
    opset: int | None = None
    """Version of ONNX's operators; None: the exporter's own."""
    int8: bool = False
    fp16: bool = False
    target: Target | None = None
    """None: this machine's kind."""
    fold: WantedFold = "auto"
    latency: Protocol = "quick"

    def __post_init__(self) -> None:
        """Raise UsageError for what contradicts itself."""
        if self.format != "onnx" and replace(self, format="onnx", fold="auto") != Wanted():
            raise UsageError(
                f"--format {self.format}: --input, --resize, --batch, --opset, --int8, --fp16, "
                "--target and --latency are for ONNX",
                "--format onnx, or without them",
            )
        if self.target and not self.int8:
            raise UsageError(
                f"--target {self.target}: says which processor int8 is for", "add --int8"
            )
        if self.resize and self.input != "pixels":
            raise UsageError(
                "--resize is for a file that takes pixels; this one takes a tensor of one size",
                "--input pixels --resize",
            )
        if self.resize and self.opset is not None and self.opset < RESIZES:
            raise UsageError(
                f"--opset {self.opset}: cannot resize as Pillow does",
                f"--opset {RESIZES}, or leave --resize out",
            )

    @property
    def flags(self) -> list[str]:
        """Those that ask for something else than what is made unasked."""
        names = [field.name for field in fields(self)]
        return [f"--{name}" for name in names if getattr(self, name) != getattr(Wanted, name)]

    @property
    def precisions(self) -> tuple[Precision, ...]:
        more: dict[Precision, bool] = {"int8": self.int8, "fp16": self.fp16}
        return ("fp32", *(precision for precision, asked in more.items() if asked))

    def front(self, args: ModelArgs, image_size: int, crop_pct: float) -> Front | None:
        """What stands in front of a model; None: it takes a tensor."""
        if self.input == "tensor":
            return None
        return Front(image_size, args.mean, args.std, self.resize, crop_pct)

    def feeding(self, image_size: int, input_size: int, crop_pct: float) -> dict[str, str]:
        """What a file says of how it is fed with images, and of what it answers."""
        pixels = self.input == "pixels"
        return {
            "kd.input_kind": self.input,
            "kd.input": self._words(image_size, input_size, crop_pct),
            "kd.output": "probabilities" if pixels else "logits",
            "kd.image_size": str(image_size),
            "kd.crop_pct": str(crop_pct),
            "kd.resize": str(int(self.resize)),
            "kd.batch": "any" if self.batch is None else str(self.batch),
        }

    def _words(self, image_size: int, input_size: int, crop_pct: float) -> str:
        square = (
            f"shorter side to {math.floor(image_size / crop_pct)}, bicubic with antialias, and its "
            f"centre {image_size} x {image_size}"
        )
        if self.resize:
            return f"uint8 RGB, NHWC, any height and width; in the graph: {square}, normalised"
        if self.input == "pixels":
            return f"uint8 RGB, NHWC; before: {square}; in the graph: normalised"
        if image_size != input_size:
            square += f", then so again, as fractions, to {input_size} x {input_size}, clipped"
        return f"float32 RGB, (pixel / 255 - mean) / std, NCHW; before: {square}"


@dataclass(frozen=True)
class Request:
    """All of it, in the order of the flags. Of somebody else's weights, `model`, `classes` and
    `size` say what they are."""

    thing: str | None = None
    """A run or a model.pt; somebody else's file of weights."""
    which: str | None = None
    """Another of the run's models than the one that ships; its record is its own."""
    out: Path | None = None
    model: str | None = None
    """timm's name of theirs."""
    classes: Path | None = None
    """A file of class names."""
    size: int | None = None
    """Pixels of a side that they are fed."""
    data: str | None = None
    """Where the data of its run lie now."""
    wanted: Wanted = Wanted()
    measured: Sequence[Path] | None = None
    """What bench.py printed on devices, to be put on record: then nothing is exported."""
    minima: Sequence[str] | None = None
    """`KEY=VALUE`, as --min takes it; so does --max."""
    maxima: Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Raise UsageError where flags say how to export, and nothing is exported."""
        flags = {
            "--out": self.out,
            "--model": self.model,
            "--classes": self.classes,
            "--size": self.size,
            "--data": self.data,
        }
        others = [flag for flag, value in flags.items() if value] + self.wanted.flags
        if self.measured and others:
            raise UsageError(
                f"{', '.join(others)}: nothing is exported with --measured", "leave them out"
            )
