"""What a report tells of a file of less precision: how it was made, and whether it is worth it."""

from typing import Literal

from pydantic import BaseModel

from kdcli.commands.model_part import PART, Range
from kdcli.onnx_file.int8 import Calibration, Integer, Target


class TriedPart(BaseModel):
    """One way to quantise, measured on validation."""

    model_config = PART
    calibration: Calibration
    preprocessed: int
    left_out: list[str] = []
    accuracy: float | None = None
    """null, with all that follows, where it failed."""
    kl: float | None = None
    """Mean KL(fp32 || this), nats."""
    speedup: float | None = None
    """fp32 / this, timed quickly, side by side with the others."""
    bytes: int | None = None
    failed: str | None = None


class QuantizedPart(BaseModel):
    """How an int8 file was made; chosen on validation."""

    model_config = PART
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
    accuracy: float
    """On validation."""
    accuracy_fp32: float
    noise: float
    """Speeds that differ by no more counted as equal."""
    tried: list[TriedPart]


class WorthPart(BaseModel):
    """Whether a smaller precision is worth it on the machine that timed it."""

    model_config = PART
    bytes_ratio: float
    """fp32 / this."""
    accuracy_change: float | None
    """this - fp32, both files on test; null where there were no such images."""
    accuracy_change_ci95: Range | None
    """Paired over images."""
    speedup: float
    """fp32 / this, p50."""
    noise: float
    """How far two timings of the same file lay apart."""
    worth_it: int
    reason: str
