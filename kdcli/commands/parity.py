"""Whether an ONNX file answers as PyTorch does; it is kept only then."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kdcli.commands.loading import Loaded
from kdcli.commands.report import ParityPart
from kdcli.commands.samples import Samples
from kdcli.commands.side_by_side import as_function
from kdcli.errors import ParityError
from kdcli.onnx_file.compare import Parity, agrees, compare
from kdcli.onnx_file.pixels import takes_any_size
from kdcli.onnx_file.session import Session, open_session
from kdcli.progress import Progress

Floats = NDArray[np.float32]

TOGETHER = 7
"""Images of a batch."""
ALONE = 32
"""Images that are compared at batch 1 as well."""
ROUNDING = 1e-3
"""How far a logit or a probability may be from PyTorch's: sums are added up in another order."""
RESIZED = 2e-2
"""How far a probability may be where the graph itself cuts images to size: of ten thousand pixel
values about three are 1 of 255 off Pillow's, and a network may look closely at such a one."""


def check_parity(
    student: Loaded, file: Path, samples: Samples, progress: Progress
) -> tuple[ParityPart, Floats]:
    """Compare on every image at batch 7, on some at batch 1, or all at the one batch that the file
    takes; the file's answers are handed on.

    PyTorch's own rounding in float32 can be larger than the tolerance (batch norm with tiny
    variances), where the file is nearer to the exact answer: then float64 decides.

    Raises:
        ParityError: the file does not answer as PyTorch does.
    """
    session = open_session(file)
    tolerance = RESIZED if takes_any_size(session.takes) else ROUNDING
    expected, answers = _both(as_function(student), session, samples)
    ones = _alone(session, samples) if session.fixed is None else answers[:ALONE]
    found = _worse(expected, answers, ones, tolerance)
    exact = not agrees(found, tolerance)
    if exact:
        progress.say(
            f"apart from PyTorch by {found.max_abs:.1e}, more than rounding usually does: "
            "compared with PyTorch in float64"
        )
        expected, _ = _both(as_function(student, exact=True), session, samples)
        found = _worse(expected, answers, ones, tolerance)
    if not agrees(found, tolerance):
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
        tolerance=tolerance,
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
    answers = _asked(function, samples)
    together = compare(_asked(module, samples), answers, tolerance)
    expected, ones = (_asked(each, samples, 1, ALONE) for each in (module, function))
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
        tolerance=tolerance,
    ), answers


def _worse(expected: Floats, answers: Floats, ones: Floats, tolerance: float) -> Parity:
    """Of all images together and some alone."""
    whole = compare(expected, answers, tolerance)
    alone = compare(expected[: len(ones)], ones, tolerance)
    return whole if agrees(alone, tolerance) else alone


def _both(
    pytorch: Callable[[Floats], Floats], session: Session, samples: Samples
) -> tuple[Floats, Floats]:
    """What PyTorch answers, in the file's terms, and what the file does; (N, K) each."""
    fed = samples.fed_to(session.takes, session.fixed or TOGETHER)
    pairs = [(pytorch(ready), session(images)) for images, ready in fed]
    logits, answers = (np.concatenate(part) for part in zip(*pairs, strict=True))
    if not session.gives_probabilities:
        return logits, answers
    return torch.from_numpy(logits).double().softmax(1).float().numpy(), answers


def _alone(session: Session, samples: Samples) -> Floats:
    fed = samples.fed_to(session.takes, 1, ALONE)
    return np.concatenate([session(images) for images, _ in fed])


def _asked(
    function: Callable[[Floats], Floats],
    samples: Samples,
    size: int = TOGETHER,
    most: int | None = None,
) -> Floats:
    batches = samples.pixels(size, most)
    return np.concatenate([function(samples.ready(pixels)) for pixels in batches])
