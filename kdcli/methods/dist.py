"""Correlation in place of equality: rank as the teacher ranks."""

from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_single_images


class DIST(Method):
    """Knowledge Distillation from a Stronger Teacher (Huang et al.), arXiv:2205.10536."""

    kind = "response"
    across_images = True
    needs = frozenset({"logits"})
    default_weight = 2.0
    weight_source = "the authors' configurations for CIFAR-100 and ImageNet, beside 1 of the task"

    beta: NonNegativeFloat = 1.0
    """Weight of the correlation between classes, image by image."""
    gamma: NonNegativeFloat = 1.0
    """Weight of the correlation between images, class by class."""
    temperature: PositiveFloat = 4.0
    """Softens both distributions; the authors have 4 on CIFAR-100, 1 on ImageNet."""

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_single_images(about)

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        return dist_loss(student.logits, teacher.logits, self.beta, self.gamma, self.temperature)


def dist_loss(
    student: Tensor, teacher: Tensor, beta: float, gamma: float, temperature: float
) -> Tensor:
    """T² · (beta · (1 - correlation over classes) + gamma · (1 - correlation over images)).

    The paper's inter-class and intra-class relation. `student`, `teacher`: (B >= 2, K) logits,
    softened first; correlations are Pearson's, their mean is taken over images and over classes.
    """
    mine, theirs = (student / temperature).softmax(1), (teacher / temperature).softmax(1)
    between_classes = 1 - correlation(mine, theirs).mean()
    between_images = 1 - correlation(mine.T, theirs.T).mean()
    return temperature**2 * (beta * between_classes + gamma * between_images)


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """(N,) Pearson's correlation of the rows of two (N, M) tensors; 0 where a row is constant."""
    first = first - first.mean(1, keepdim=True)
    second = second - second.mean(1, keepdim=True)
    norms: Tensor = first.norm(dim=1) * second.norm(dim=1)
    return (first * second).sum(1) / (norms + 1e-8)  # on the product, as in the authors' code
