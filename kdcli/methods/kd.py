"""Soft targets with temperature."""

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from kdcli.core.functional import standardized
from kdcli.core.method import Method
from kdcli.core.records import Batch, Outputs


class KD(Method):
    """Distilling the Knowledge in a Neural Network (Hinton, Vinyals, Dean), arXiv:1503.02531."""

    kind = "response"
    needs = frozenset({"logits"})
    default_weight = 1.0
    weight_source = (
        "RepDistiller, beside feature methods; the recipe kd has 0.9 beside 0.1 of the task"
    )

    temperature: PositiveFloat = 4.0
    """Softens both distributions; 1 is the plain softmax."""
    standardize: bool = False
    """Bring each image's logits to mean 0 and deviation 1 first (arXiv:2403.01427)."""

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        return kd_loss(student.logits, teacher.logits, self.temperature, self.standardize)


def kd_loss(
    student: Tensor, teacher: Tensor, temperature: float | Tensor, standardize: bool = False
) -> Tensor:
    """T² · KL(teacher ‖ student) of the softened distributions: class-sum, batch-mean.

    `student`, `teacher`: (B, K) logits. T² keeps the gradient's size when T changes (section 2 of
    the paper). The mean is over images, never over images x classes.
    """
    if standardize:
        student, teacher = standardized(student), standardized(teacher)
    # in logarithms on both sides: that of a probability which underflows would be -inf
    log_student = F.log_softmax(student / temperature, dim=1)
    log_teacher = F.log_softmax(teacher / temperature, dim=1)
    divergence = F.kl_div(log_student, log_teacher, log_target=True, reduction="batchmean")
    return divergence * temperature**2
