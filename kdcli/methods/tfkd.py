"""A teacher that nobody trained: sure of the label, the rest evenly spread."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_unknown_labels


class TFKD(Method):
    """Revisiting KD via Label Smoothing Regularization (Yuan et al.), arXiv:1909.11723.

    The paper's teacher-free regularisation, as the authors' code computes it.
    """

    kind = "response"
    needs = frozenset({"logits"})
    default_weight = 0.1 / 0.9
    weight_source = "the authors' code on CIFAR-100: 0.1 beside 0.9 of the task"
    needs_teacher = False

    correct: Annotated[float, Field(gt=0, lt=1)] = 0.99
    """The probability that the virtual teacher gives to the label."""
    temperature: PositiveFloat = 20.0
    """Softens the virtual teacher; the student is not softened."""

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_unknown_labels(about)

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        return tfkd_loss(student.logits, batch.labels, self.correct, self.temperature)


def tfkd_loss(student: Tensor, labels: Tensor, correct: float, temperature: float) -> Tensor:
    """KL(softmax(q / T) ‖ student), q being `correct` at the label and even elsewhere.

    `student` (B, K) logits, `labels` (B,) int64 in [0, K); class-sum, batch-mean, without T². The
    softmax is of probabilities, not of their logarithms: at T = 20 a label is 1.05 times as likely
    as another class. The authors take the mean over images x classes and multiply by 100, the
    number of classes of CIFAR-100: the same there.
    """
    others = (1 - correct) / (student.shape[1] - 1)
    q = torch.full_like(student, others).scatter(1, labels.unsqueeze(1), correct)
    target = (q / temperature).softmax(1)
    return F.kl_div(F.log_softmax(student, 1), target, reduction="batchmean")
