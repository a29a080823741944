"""Soft targets in two parts: how sure of the label, and how the other classes share the rest."""

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from kdcli.core.errors import UnmetNeeds
from kdcli.core.functional import standardized
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_unknown_labels


class DKD(Method):
    """Decoupled Knowledge Distillation (Zhao et al.), arXiv:2203.08679.

    The authors raise its weight linearly over the first 20 epochs: a ramp in the recipe.
    """

    kind = "response"
    needs = frozenset({"logits"})
    default_weight = 1.0
    weight_source = "mdistiller's CIFAR-100 configurations, beside a task weight of 1"

    alpha: NonNegativeFloat = 1.0
    """Weight of the label's part."""
    beta: NonNegativeFloat = 8.0
    """Weight of the other classes' part; mdistiller: 2 to 8 on CIFAR-100, 0.5 to 2 on ImageNet."""
    temperature: PositiveFloat = 4.0
    """Softens both distributions; mdistiller has 4 on CIFAR-100, 1 on ImageNet."""
    standardize: bool = False
    """Bring each image's logits to mean 0 and deviation 1 first (arXiv:2403.01427)."""

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_unknown_labels(about)
        if about.num_classes < 3:
            raise UnmetNeeds(
                "compares how the other classes share what the label leaves, and of two classes "
                "only one is left",
                "kd: with two classes it is the label's part",
            )

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        return dkd_loss(
            student.logits,
            teacher.logits,
            batch.labels,
            self.alpha,
            self.beta,
            self.temperature,
            self.standardize,
        )


def dkd_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    alpha: float,
    beta: float,
    temperature: float,
    standardize: bool = False,
) -> Tensor:
    """alpha · T² · KL(label or not) + beta · T² · KL(among the other classes), batch-mean.

    The paper's TCKD and NCKD. `student`, `teacher`: (B, K >= 3) logits; `labels` (B,) int64 in
    [0, K). With beta an image's 1 - p(label) of the teacher, the sum is that image's `kd_loss`.
    """
    if standardize:
        student, teacher = standardized(student), standardized(teacher)
    mine, mine_among = decoupled(student / temperature, labels)
    theirs, theirs_among = decoupled(teacher / temperature, labels)
    return temperature**2 * (
        alpha * F.kl_div(mine, theirs, log_target=True, reduction="batchmean")
        + beta * F.kl_div(mine_among, theirs_among, log_target=True, reduction="batchmean")
    )


def decoupled(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities (B, 2) of the label and of all others, (B, K - 1) among the others.

    Everything stays in logarithms: 1 - p(label) would be 0 where the label is certain. The authors'
    code takes the logarithm of probabilities, and 1000 from the label's logit to leave it out: not
    finite where a probability is below what float32 holds.
    """
    label = labels.unsqueeze(1)
    places = torch.arange(logits.shape[1] - 1, device=logits.device)
    others = logits.gather(1, places + (places >= label))  # without the label's column
    either = torch.cat([logits.gather(1, label), others.logsumexp(1, keepdim=True)], 1)
    return F.log_softmax(either, 1), F.log_softmax(others, 1)
