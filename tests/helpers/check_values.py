"""The inputs of the published check values, and what every loss promises.

n is the flat index in C order; everything is float64, to be met within 1e-8.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from kdcli.core.records import Batch

TOLERANCE = 1e-8


def wave(
    shape: tuple[int, ...],
    function: Callable[[Tensor], Tensor],
    step: float,
    shift: float = 0.0,
    amplitude: float = 1.0,
) -> Tensor:
    """amplitude * function(step * n + shift)."""
    n = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return (amplitude * function(step * n + shift)).reshape(shape)


STUDENT_LOGITS = wave((4, 6), torch.sin, 0.9, 0.3, 3)
TEACHER_LOGITS = wave((4, 6), torch.cos, 0.7, 0.1, 4)
LABELS = torch.tensor([0, 3, 5, 2])
STUDENT_EMBEDDING = wave((4, 5), torch.sin, 0.5, 0.2)
TEACHER_EMBEDDING = wave((4, 5), torch.cos, 0.4)
WIDE_TEACHER_EMBEDDING = wave((4, 7), torch.cos, 0.4)
STUDENT_MAP = wave((4, 3, 6, 6), torch.sin, 0.13, 0.1)
FINE_STUDENT_MAP = wave((4, 3, 8, 8), torch.sin, 0.13, 0.1)
TEACHER_MAP = wave((4, 3, 6, 6), torch.cos, 0.11, 0.2)
WIDE_TEACHER_MAP = wave((4, 5, 6, 6), torch.cos, 0.11, 0.2)


def gradient(loss: Callable[[Tensor], Tensor], student: Tensor) -> Tensor:
    """Of a loss with respect to the student's side."""
    leaf = student.detach().clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(leaf), leaf)
    return found


def agrees_with_finite_differences(loss: Callable[[Tensor], Tensor], student: Tensor) -> bool:
    """`gradcheck` in float64."""
    leaf = student.detach().clone().requires_grad_()
    return bool(torch.autograd.gradcheck(loss, (leaf,)))


def batch_of(labels: Tensor, epoch: float = 0.0) -> Batch:
    """A batch of which nothing is read but labels and epoch."""
    rows = torch.arange(len(labels))
    return Batch(torch.zeros(len(labels), 3, 2, 2), labels, labels, rows, rows, epoch)
