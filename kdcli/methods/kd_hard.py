"""The teacher's first choice, taken as a label."""

import torch.nn.functional as F
from torch import Tensor, nn

from kdcli.core.method import Method
from kdcli.core.records import Batch, Outputs


class KDHard(Method):
    """Training Data-efficient Image Transformers (Touvron et al.), arXiv:2012.12877, equation 3."""

    kind = "response"
    needs = frozenset({"logits"})
    default_weight = 1.0
    weight_source = "the paper: 0.5 beside 0.5 of the task"

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        return kd_hard_loss(student.logits, teacher.logits)


def kd_hard_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Cross-entropy of the student with the teacher's likeliest class; both (B, K) logits."""
    return F.cross_entropy(student, teacher.argmax(1))
