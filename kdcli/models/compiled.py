"""A tap's route as torch.compile makes it: tried, compared with the plain one, else left plain.

What is compiled is the function that asks (`Route.ask`), never the module: state keys stay timm's,
and a moving average's copy of a tap works like any other.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from kdcli.core.files import cache_folder
from kdcli.core.records import Batch, Outputs
from kdcli.models.route import Route
from kdcli.models.tap import Tap

MODELS = 64
"""So many may be compiled in a process; torch's own limit of 8 is for one model in many shapes."""

AS_GOOD = {"fp32": 1e-3, "bf16": 0.1}
"""How far compiled answers may lie from plain ones, as a share of these (Frobenius norms)."""


def try_compiled(tap: Tap, batch: Batch, learns: bool) -> str:
    """Compile what `tap` shows, for batches like this one; where that fails it is left as it was.

    `learns`: in training mode, its backward pass too, else in eval mode without gradients. Nothing
    else is ever compiled for it: batches of another size, or in another mode, go the plain way.
    Weights, buffers, gradients, mode and random generators are left as they were.

    Returns why it is not compiled; empty: it is.
    """
    with _as_it_was(tap, learns), _settings():
        try:
            with torch.no_grad():
                plain = _answer(tap, batch)
            tap.route.compiled = made = torch.compile(
                Route.ask,
                dynamic=False,  # one size a training: shapes are constants of what is made
                options={"fallback_random": True},  # the masks of dropout stay those of plain torch
            )
            found = _answer(tap, batch)
            if learns:
                scalars = [one.square().mean() for one in found]
                # kept, or it would be made for one pass: shares of the gradient take a second one
                torch.autograd.backward(scalars, retain_graph=True)
            if _as_good(found, plain, AS_GOOD[tap.precision]):
                tap.route.compiled = partial(_as_tried, made)
                return ""
            why = "its answers are others"
        # dynamo, inductor, triton and a C compiler that is not there raise what they like
        except Exception as error:
            why = _in_short(error)
        tap.route.compiled = None
        return why


def _as_tried(made: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    """What was compiled for other batches, modes or precisions than these is left alone: they go
    the plain way, and nothing is compiled in the middle of a training."""
    with torch.compiler.set_stance("eager_on_recompile"):
        return made(*given)


@contextmanager
def _as_it_was(tap: Tap, learns: bool) -> Iterator[None]:
    mode = tap.training
    buffers = {name: buffer.clone() for name, buffer in tap.named_buffers()}
    with torch.random.fork_rng(), torch.set_grad_enabled(learns):
        try:
            tap.train(learns)
            yield
        finally:
            tap.train(mode)
            tap.zero_grad(set_to_none=True)
            with torch.no_grad():
                for name, buffer in tap.named_buffers():
                    buffer.copy_(buffers[name])


@contextmanager
def _settings() -> Iterator[None]:
    """Of torch's compiler, while it compiles."""
    # in kd's own folder: its usual one in /tmp has a name that anybody could take first
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "compiled"))
    with (
        torch._dynamo.config.patch(recompile_limit=MODELS),
        warnings.catch_warnings(action="ignore"),
    ):
        yield


def _answer(tap: Tap, batch: Batch) -> list[Tensor]:
    """All that it shows, with the same masks of dropout each time."""
    torch.manual_seed(0)
    outputs: Outputs = tap(batch)
    shown = vars(outputs).values()
    several = (one if isinstance(one, tuple) else (one,) for one in shown)
    return [one for each in several for one in each if isinstance(one, Tensor)]


def _as_good(found: list[Tensor], plain: list[Tensor], most: float) -> bool:
    """Not to the last bit: operations that were put together round once, not twice."""
    return len(found) == len(plain) and all(
        bool((one - other).norm() <= most * other.norm())
        for one, other in zip(found, plain, strict=True)
    )


def _in_short(error: Exception) -> str:
    """The first line that says something; a compiler's whole answer has hundreds."""
    own = getattr(error, "inner_exception", error)  # dynamo wraps what a backend raises
    lines = (line.strip() for line in str(own).splitlines())
    return f"{type(own).__name__}: {next(filter(None, lines), '')[:160]}"
