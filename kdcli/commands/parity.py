"""Whether an ONNX file answers as PyTorch does; it is kept only then."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdcli.commands.loading import Loaded
from kdcli.commands.report import ParityPart, Precision
from kdcli.commands.samples import Samples
from kdcli.commands.side_by_side import as_function
from kdcli.errors import ParityError
from kdcli.onnx_file.compare import TOLERANCES, Parity, Tolerance, agrees, compare
from kdcli.onnx_file.session import open_session
from kdcli.progress import Progress

Floats = NDArray[np.float32]

TOGETHER = 7
"""Images of a batch."""
ALONE = 32
"""Images that are compared at batch 1 as well."""


def check_parity(
    student: Loaded,
    file: Path,
    samples: Samples,
    progress: Progress,
    precision: Precision = "fp32",
) -> tuple[ParityPart, Floats]:
    """Compare on every image at batch 7, on some at batch 1; the file's answers are handed on.

    PyTorch's own rounding in float32 can be larger than the tolerance of an fp32 file (batch norm
    with tiny variances), where the file is nearer to the exact answer: then float64 decides.

    Raises:
        ParityError: the file does not answer as PyTorch does, within what its precision may.
    """
    session, tolerance = open_session(file), TOLERANCES[precision]
    together, ones = answers(session, samples), answers(session, samples, 1, ALONE)
    expected = answers(as_function(student), samples)
    found = _worse(expected, together, ones, tolerance)
    exact = precision == "fp32" and not agrees(found)
    if exact:
        progress.say(
            f"apart from PyTorch by {found.max_abs:.1e}, more than rounding usually does: "
            "compared with PyTorch in float64"
        )
        expected = answers(as_function(student, exact=True), samples)
        found = _worse(expected, together, ones, tolerance)
    if not agrees(found, tolerance):
        raise ParityError(
            f"the {precision} ONNX file disagrees with PyTorch (max |difference| "
            f"{found.max_abs:.2e}, top-1 changed on {found.top1_changed} of {found.images} images) "
            "and was removed",
            "try another version of torch or onnxruntime; please report the model's name"
            if precision == "fp32"
            else f"this model does not bear {precision}: export it without --{precision}",
        )
    changed = int((expected.argmax(1) != together.argmax(1)).sum())
    part = ParityPart(
        max_abs=found.max_abs,
        top1_changed=changed,
        images=len(samples),
        synthetic=samples.made_up,
        reference="float64" if exact else "float32",
        tolerance=found.allowed if math.isfinite(found.allowed) else None,
        agreement=1 - changed / len(samples),
    )
    return part, together


def _worse(expected: Floats, together: Floats, ones: Floats, tolerance: Tolerance) -> Parity:
    """Of all images at batch 7, and of the same with some at batch 1."""
    mixed = np.concatenate([ones, together[len(ones) :]])
    whole, alone = (compare(expected, found, tolerance) for found in (together, mixed))
    return whole if agrees(alone, tolerance) else alone


def answers(
    function: Callable[[Floats], Floats],
    samples: Samples,
    size: int = TOGETHER,
    most: int | None = None,
) -> Floats:
    """What a model says of the samples, `size` at a time: (N, K)."""
    batches = samples.pixels(size, most)
    return np.concatenate([function(samples.ready(pixels)) for pixels in batches])
