"""How far two answers to the same images lie apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdcli.errors import ParityError

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Parity:
    """What `compare` found."""

    max_abs: float
    """Largest difference of any logit; infinite where one is not a number."""
    top1_changed: int
    """Images whose class changed although it was not a near tie."""
    images: int


def compare(expected: Floats, actual: Floats, tolerance: float = 1e-3) -> Parity:
    """Logits (B, K) of the file against PyTorch's; ties within `tolerance` may fall either way."""
    if actual.shape != expected.shape:
        raise ParityError(f"logits of shape {actual.shape}, PyTorch gives {expected.shape}")
    apart = np.abs(actual.astype(np.float64) - expected)
    second, first = np.sort(expected, axis=1)[:, -2:].T
    changed = actual.argmax(axis=1) != expected.argmax(axis=1)
    return Parity(
        max_abs=float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max()),
        top1_changed=int(np.sum(changed & (first - second > tolerance))),
        images=len(expected),
    )


def agrees(parity: Parity, tolerance: float = 1e-3) -> bool:
    """Whether the file may stand for the model."""
    return parity.max_abs <= tolerance and parity.top1_changed == 0
