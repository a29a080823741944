"""Whether an ONNX file answers as PyTorch does; it is kept only then."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from kdcli.core.arrays import Floats
from kdcli.core.errors import ParityError
from kdcli.core.progress import Progress
from kdcli.deploy.onnx_file.pixels import takes_any_size
from kdcli.deploy.onnx_file.session import Session, open_session
from kdcli.deploy.samples import Samples
from kdcli.models.heads import answering
from kdcli.models.loading import Loaded
from kdcli.report.choices import Precision
from kdcli.report.export import ParityPart

TOGETHER = 7
"""Images of a batch: another number than the two that a graph is traced with, so that a batch which
was written into it shows."""
ALONE = 32
"""Images that are compared at batch 1 as well, as a device asks."""
RESIZED = 2e-2
"""How far a probability may be where the graph itself cuts images to size: of ten thousand pixel
values about three are 1 of 255 off Pillow's, and a network may look closely at such a one."""


def check_parity(
    student: Loaded,
    file: Path,
    samples: Samples,
    progress: Progress,
    precision: Precision = "fp32",
) -> tuple[ParityPart, Floats]:
    """Compare on every image at batch 7, on some at batch 1, or all at the one batch that the file
    takes; the file's answers are handed on.

    PyTorch's own rounding in float32 can be larger than the tolerance of an fp32 file (batch norm
    with tiny variances): then float64 decides, and the file may be as far from the exact answer as
    PyTorch itself is.

    Raises:
        ParityError: the file does not answer as PyTorch does, within what its precision may.
    """
    session = open_session(file)
    tolerance = TOLERANCES[precision]
    if takes_any_size(session.takes):
        tolerance = tolerance.at_least(RESIZED)
    expected, together = _both(as_function(student), session, samples)
    ones = _alone(session, samples) if session.fixed is None else together[:ALONE]
    found = _worse(expected, together, ones, tolerance)
    exact = precision == "fp32" and not agrees(found, tolerance)
    if exact:  # inception_v4: the file is 0.0029 off the exact answer, PyTorch 0.0041
        progress.say(
            f"apart from PyTorch by {found.max_abs:.1e}, more than rounding usually does: "
            "compared with PyTorch in float64"
        )
        rounded, (expected, _) = expected, _both(as_function(student, True), session, samples)
        tolerance = tolerance.at_least(float(np.abs(rounded - expected).max()))
        found = _worse(expected, together, ones, tolerance)
    if not agrees(found, tolerance):
        raise _disagrees(found, precision)
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
"""The same arithmetic in another order: rounding, and no more than that. Of the 96 modules of timm
that export all but two stay below 3e-4 (docs/deploy.md)."""


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


def _disagrees(found: Parity, precision: Precision) -> ParityError:
    return ParityError(
        f"the {precision} ONNX file disagrees with PyTorch (max |difference| "
        f"{found.max_abs:.2e}, top-1 changed on {found.top1_changed} of {found.images} images) "
        "and was removed",
        "try another version of torch or onnxruntime; please report the model's name"
        if precision == "fp32"
        else f"this model does not bear {precision}: export it without --{precision}",
    )


def check_same(
    student: Loaded, function: Callable[[Floats], Floats], samples: Samples, within: float
) -> tuple[ParityPart, Floats]:
    """Compare what was made of a module and runs in PyTorch with it, each size of batch with its
    own: PyTorch rounds them differently. What it answered at batch 7 is handed on.

    Raises:
        ParityError: a logit is farther off than `within`, or a class has changed.
    """
    module, tolerance = as_function(student), Tolerance(within, tie=within)
    together = answers(function, samples)
    both = compare(answers(module, samples), together, tolerance)
    expected, ones = (answers(each, samples, 1, ALONE) for each in (module, function))
    alone = compare(expected, ones, tolerance)
    if not (agrees(both, tolerance) and agrees(alone, tolerance)):
        apart = max(both.max_abs, alone.max_abs)
        raise ParityError(
            f"what was loaded back disagrees with the module (max |difference| {apart:.2e}, "
            f"more than {within:g}) and was removed",
            "--format onnx is checked on its own; please report the model's name",
        )
    return ParityPart(
        max_abs=max(both.max_abs, alone.max_abs),
        top1_changed=both.top1_changed,
        images=len(samples),
        synthetic=samples.made_up,
        tolerance=within,
    ), together


def _worse(expected: Floats, together: Floats, ones: Floats, tolerance: Tolerance) -> Parity:
    """Of all images together, and of the same with some of them alone."""
    mixed = np.concatenate([ones, together[len(ones) :]])
    whole, alone = (compare(expected, found, tolerance) for found in (together, mixed))
    return whole if agrees(alone, tolerance) else alone


def _both(
    pytorch: Callable[[Floats], Floats], session: Session, samples: Samples
) -> tuple[Floats, Floats]:
    """What PyTorch answers, in the file's terms, and what the file does; (N, K) each."""
    fed = samples.fed_to(session.takes, session.fixed or TOGETHER)
    pairs = [(pytorch(ready), session(images)) for images, ready in fed]
    logits, found = (np.concatenate(part) for part in zip(*pairs, strict=True))
    if not session.gives_probabilities:
        return logits, found
    return torch.from_numpy(logits).double().softmax(1).float().numpy(), found


def _alone(session: Session, samples: Samples) -> Floats:
    fed = samples.fed_to(session.takes, 1, ALONE)
    return np.concatenate([session(images) for images, _ in fed])


def answers(
    function: Callable[[Floats], Floats],
    samples: Samples,
    size: int = TOGETHER,
    most: int | None = None,
) -> Floats:
    """What a model says of the samples, or of the first `most`, `size` at a time: (N, K)."""
    batches = samples.pixels(size, most)
    return np.concatenate([function(samples.ready(pixels)) for pixels in batches])


FP16 = Tolerance(absolute=1e-2, relative=0.01, changed=0.005)
"""Eleven bits of mantissa: each operation is off by up to 0.05%, which adds up over the layers; who
is nearly undecided may change sides, and no one else."""


INT8 = Tolerance(absolute=math.inf, changed=0.10)
"""Logits of 8-bit networks are coarse (one of efficientnet_b0's was off by 137 of 148, while 98.1%
of the classes were the same), so only classes are held. This is what tells a broken file from a
working one; whether it is good enough is for its accuracy to say."""


TOLERANCES = {"fp32": FP32, "fp16": FP16, "int8": INT8}
"""By precision."""


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
    """Whether the file may stand for the model: near in every logit, and in enough classes."""
    near = math.isfinite(parity.max_abs) and parity.max_abs <= parity.allowed
    return near and parity.top1_changed <= tolerance.changed * parity.images


def as_function(model: Loaded, exact: bool = False) -> Callable[[Floats], Floats]:
    """The model in PyTorch as a function from images (B, 3, H, W) to logits (B, K).

    `exact`: computed in float64, and rounded at the end.
    """
    module = answering(model.module, model.args).eval()
    if exact:
        module = copy.deepcopy(module).double()

    def answer(images: Floats) -> Floats:
        with torch.inference_mode():
            ready = torch.from_numpy(images)
            logits: Floats = module(ready.double() if exact else ready).float().numpy()
        return logits

    return answer
