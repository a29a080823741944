"""Logits themselves, without a softmax."""

import torch.nn.functional as F
from torch import Tensor, nn

from kdcli.core.method import Method
from kdcli.core.records import Batch, Outputs


class KDMSE(Method):
    """Do Deep Nets Really Need to be Deep? (Ba, Caruana), arXiv:1312.6184."""

    kind = "response"
    needs = frozenset({"logits"})
    default_weight = 1.0
    weight_source = "none is published: the paper learns from the teacher's logits alone"

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        return kd_mse_loss(student.logits, teacher.logits)


def kd_mse_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the (B, K) logits, over images and classes.

    For logits of mean 0 its gradient is twice that of `kd_loss` at an infinite temperature. Unlike
    `kd_loss`, it also asks for the teacher's mean, which no probability depends on.
    """
    return F.mse_loss(student, teacher)
