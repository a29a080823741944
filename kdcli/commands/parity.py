"""Whether an ONNX file answers as PyTorch does; it is kept only then."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdcli.commands.loading import Loaded
from kdcli.commands.report import ParityPart
from kdcli.commands.samples import Samples
from kdcli.commands.side_by_side import as_function
from kdcli.errors import ParityError
from kdcli.onnx_file.compare import Parity, agrees, compare
from kdcli.onnx_file.session import open_session
from kdcli.progress import Progress

Floats = NDArray[np.float32]

TOGETHER = 7
"""Images of a batch."""
ALONE = 32
"""Images that are compared at batch 1 as well."""


def check_parity(
    student: Loaded, file: Path, samples: Samples, progress: Progress
) -> tuple[ParityPart, Floats]:
    """Compare on every image at batch 7, on some at batch 1; the file's answers are handed on.

    PyTorch's own rounding in float32 can be larger than the tolerance (batch norm with tiny
    variances), where the file is nearer to the exact answer: then float64 decides.

    Raises:
        ParityError: the file does not answer as PyTorch does.
    """
    session = open_session(file)
    answers, ones = _answers(session, samples), _answers(session, samples, 1, ALONE)
    expected = _answers(as_function(student), samples)
    found = _worse(expected, answers, ones)
    exact = not agrees(found)
    if exact:
        progress.say(
            f"apart from PyTorch by {found.max_abs:.1e}, more than rounding usually does: "
            "compared with PyTorch in float64"
        )
        expected = _answers(as_function(student, exact=True), samples)
        found = _worse(expected, answers, ones)
    if not agrees(found):
        raise ParityError(
            f"the ONNX file disagrees with PyTorch (max |difference| {found.max_abs:.2e}, "
            f"top-1 changed on {found.top1_changed} of {found.images} images) and was removed",
            "try another version of torch or onnxruntime; please report the model's name",
        )
    part = ParityPart(
        max_abs=found.max_abs,
        top1_changed=int((expected.argmax(1) != answers.argmax(1)).sum()),
        images=len(samples),
        synthetic=samples.made_up,
        reference="float64" if exact else "float32",
    )
    return part, answers


def check_same(
    student: Loaded, function: Callable[[Floats], Floats], samples: Samples, tolerance: float
) -> tuple[ParityPart, Floats]:
    """Compare what was made of a module and runs in PyTorch with it, each size of batch with its
    own: PyTorch rounds them differently. What it answered at batch 7 is handed on.

    Raises:
        ParityError: it does not answer as the module does.
    """
    module = as_function(student)
    answers = _answers(function, samples)
    together = compare(_answers(module, samples), answers, tolerance)
    expected, ones = (_answers(each, samples, 1, ALONE) for each in (module, function))
    alone = compare(expected, ones, tolerance)
    if not (agrees(together, tolerance) and agrees(alone, tolerance)):
        apart = max(together.max_abs, alone.max_abs)
        raise ParityError(
            f"what was loaded back disagrees with the module (max |difference| {apart:.2e}, "
            f"more than {tolerance:g}) and was removed",
            "--format onnx is checked on its own; please report the model's name",
        )
    return ParityPart(
        max_abs=max(together.max_abs, alone.max_abs),
        top1_changed=together.top1_changed,
        images=len(samples),
        synthetic=samples.made_up,
    ), answers


def _worse(expected: Floats, answers: Floats, ones: Floats) -> Parity:
    """Of all images at batch 7 and some at batch 1."""
    whole, alone = compare(expected, answers), compare(expected[: len(ones)], ones)
    return whole if agrees(alone) else alone


def _answers(
    function: Callable[[Floats], Floats],
    samples: Samples,
    size: int = TOGETHER,
    most: int | None = None,
) -> Floats:
    batches = samples.pixels(size, most)
    return np.concatenate([function(samples.ready(pixels)) for pixels in batches])
