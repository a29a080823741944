"""How far two answers to the same images lie apart, and how far they may."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kdcli.errors import ParityError

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Tolerance:
    """How far a file's answers may lie from PyTorch's; they must be finite in any case."""

    absolute: float
    """Of any logit."""
    relative: float = 0.0
    """Of any logit, as a share of the largest |logit|; the larger of both counts."""
    changed: float = 0.0
    """Share of the images that may get another top-1 class."""
    tie: float = 0.0
    """Classes whose logits PyTorch sees this near may change places: that counts for nothing."""

    def at_least(self, apart: float) -> "Tolerance":
        """The same where answers may be `apart` for another reason."""
        return replace(self, absolute=max(self.absolute, apart), tie=max(self.tie, apart))

    def allowed(self, expected: Floats) -> float:
        """Difference of any logit, for these answers of PyTorch."""
        return max(self.absolute, self.relative * float(np.abs(expected).max()))


FP32 = Tolerance(absolute=1e-3, tie=1e-3)
"""The same arithmetic in another order: rounding, and no more than that."""
FP16 = Tolerance(absolute=1e-2, relative=0.01, changed=0.005)
"""Eleven bits of mantissa: each operation is off by up to 0.05%, which adds up over the layers; who
is nearly undecided may change sides, and no one else."""
INT8 = Tolerance(absolute=math.inf, changed=0.10)
"""Logits of 8-bit networks are coarse, so only classes are held. This is what tells a broken file
from a working one; whether it is good enough is for its accuracy to say."""
TOLERANCES = {"fp32": FP32, "fp16": FP16, "int8": INT8}
"""By precision."""


@dataclass(frozen=True)
class Parity:
    """What `compare` found."""

    max_abs: float
    """Largest difference of any logit; infinite where one is not a number."""
    top1_changed: int
    """Images whose class changed although it was not a near tie."""
    images: int
    allowed: float = FP32.absolute
    """Of `max_abs`."""


def compare(expected: Floats, actual: Floats, tolerance: Tolerance = FP32) -> Parity:
    """Logits (B, K) of the file against PyTorch's.

    Raises:
        ParityError: they differ in shape.
    """
    if actual.shape != expected.shape:
        raise ParityError(f"logits of shape {actual.shape}, PyTorch gives {expected.shape}")
    apart = np.abs(actual.astype(np.float64) - expected)
    second, first = np.sort(expected, axis=1)[:, -2:].T
    changed = actual.argmax(axis=1) != expected.argmax(axis=1)
    return Parity(
        max_abs=float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max()),
        top1_changed=int(np.sum(changed & (first - second > tolerance.tie))),
        images=len(expected),
        allowed=tolerance.allowed(expected),
    )


def agrees(parity: Parity, tolerance: Tolerance = FP32) -> bool:
    """Whether the file may stand for the model."""
    near = math.isfinite(parity.max_abs) and parity.max_abs <= parity.allowed
    return near and parity.top1_changed <= tolerance.changed * parity.images
