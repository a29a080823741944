"""Numbers that are none: stopped before the step, whose they are, and what is kept to repeat it."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch
from torch import Tensor

from kdcli.core.errors import DiskError, NotFinite
from kdcli.core.records import Batch
from kdcli.core.text import counted, some
from kdcli.models.torch_file import write
from kdcli.runs.layout import NOT_FINITE
from kdcli.runs.run import Run
from kdcli.training.distiller import Distiller
from kdcli.training.losses import Losses

CALMER = (
    "lower --set train.lr=..., train in --set student.precision=fp32, or see whether a weight or a "
    "temperature that was set is meant so"
)
NAMED = 8
"""Images that a message names."""


def bad_loss(losses: Losses, distiller: Distiller, batch: Batch) -> NotFinite:
    """Which of its terms is not finite; and whether teachers said so."""
    values = {name: float(loss.detach()) for name, loss in losses.terms.items()}
    wrong = [name for name, value in values.items() if not math.isfinite(value)]
    shown = ", ".join(f"{name} = {value:g}" for name, value in values.items())
    what = f"the loss is not finite: {' and '.join(wrong) or 'their sum'} ({shown})"
    blamed = _speechless(distiller, batch)
    if not blamed:
        return NotFinite(f"{what}; stopped before the step", CALMER)
    return NotFinite(
        f"{what}, as {' and '.join(blamed)}; stopped before the step",
        "a teacher of finite weights answers so in a narrow type: --set teacher.precision=fp32; "
        "else take another checkpoint of it",
    )


@torch.no_grad()
def _speechless(distiller: Distiller, batch: Batch) -> list[str]:
    """Teachers whose answers to these images are no numbers."""
    found = []
    for name, teacher in distiller.teachers.items():
        rows = ~torch.isfinite(teacher(batch).logits).all(1)
        if count := int(rows.sum()):
            found.append(f"{name} answers {counted(count, 'image')} with what is no number")
    return found


def bad_gradient(distiller: Distiller) -> NotFinite:
    """A loss can be finite and its gradient not (the root of 0)."""
    bad = [
        name
        for name, one in distiller.named_parameters()
        if one.grad is not None and not torch.isfinite(one.grad).all()
    ]
    where = f"in {some(bad, 2)}" if bad else "their squares are too large to be added up"
    return NotFinite(
        f"the gradient is not finite, though every loss is ({where}); stopped before the step",
        CALMER,
    )


def refuse_bad_answers(kept: dict[str, Tensor], by: str, first: int) -> None:
    """Raise NotFinite for answers to be stored, of images from `first` on, that are no numbers."""
    for tensor in kept.values():
        numbers = torch.isfinite(tensor.reshape(len(tensor), -1)).all(1)
        if rows := (~numbers).nonzero().flatten().tolist():
            images = some((str(first + row) for row in rows), NAMED)
            raise NotFinite(
                f"{by} answers {counted(len(rows), 'image')} with what is no number: {images}",
                "in a narrow type large answers overflow: --set teacher.precision=fp32, "
                "--set teacher.keep=all; else take another checkpoint of it",
            )


@contextmanager
def told_where(
    run: Run, distiller: Distiller, batch: Batch, step: int, epoch: int
) -> Iterator[None]:
    """A NotFinite inside learns its place; batch and weights are kept in the run's folder."""
    try:
        yield
    except NotFinite as error:
        images = some(map(str, batch.index.tolist()), NAMED)
        error.what = f"epoch {epoch}, step {step + 1}, images {images}: {error.what}"
        weights = {name: one.detach().cpu() for name, one in distiller.state_dict().items()}
        kept = {name: value for name, value in vars(batch).items() if isinstance(value, Tensor)}
        place = run.path / NOT_FINITE
        with suppress(DiskError):  # what went wrong first is what counts
            write({"what": error.what, "step": step, "weights": weights} | kept, place)
            error.fix += f"\n{place} has that batch, and the weights that met it"
        raise
