"""Softmax regression: the teacher's own classifier judges the student's embedding."""

import torch.nn.functional as F
from pydantic import NonNegativeFloat
from torch import Tensor, nn
from torch.func import functional_call

from kdcli.core.errors import UnmetNeeds
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_single_images


class SRRL(Method):
    """Knowledge Distillation via Softmax Regression Representation Learning (Yang et al., 2021).

    ICLR 2021; the same authors on statistics alone: arXiv:2003.04289. The paper's code compares
    last maps; here, as in the code of SimKD, pooled embeddings.
    """

    kind = "feature"
    needs = frozenset({"embedding", "logits"})
    reads_weights = True
    default_weight = 1.0
    weight_source = "the authors' code: both terms count as much as the task"

    logits_weight: NonNegativeFloat = 1.0
    """Of the teacher's classifier on the student's embedding, beside the statistics."""

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_single_images(about)
        if about.classifier is None:
            raise UnmetNeeds(
                "shows the student's embedding to the teacher's classifier, and this teacher's "
                "logits are not one layer of its embedding, or it still learns",
                "another method that reads embeddings: rkd, pkt, cc or crd",
            )

    def adapter(self, student: Outputs, teacher: Outputs, about: About) -> nn.Module:
        assert student.embedding is not None
        assert teacher.embedding is not None
        assert about.classifier is not None
        return Judged(student.embedding.shape[1], teacher.embedding, about.classifier)

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        assert teacher.embedding is not None
        assert adapter is not None
        projected, logits = adapter(student.embedding)
        statistics = srrl_statistics_loss(_as_map(projected), _as_map(teacher.embedding))
        return statistics + self.logits_weight * F.mse_loss(logits, teacher.logits)


class Judged(nn.Module):
    """A student's embedding in its teacher's place, and what the teacher's classifier says to it.

    Linear, batch norm, and a ReLU where the teacher's embedding is never negative (a ReLU could
    not reach what is).
    """

    def __init__(self, student: int, teacher: Tensor, classifier: nn.Module) -> None:
        super().__init__()
        width = teacher.shape[1]
        self.projection = nn.Sequential(
            nn.Linear(student, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU() if teacher.min() >= 0 else nn.Identity(),
        )
        self._classifier = (classifier,)  # in a tuple it is no part of this module

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """(B, E) in the teacher's space, and (B, K) logits."""
        projected: Tensor = self.projection(embedding)
        (classifier,) = self._classifier
        # it passes gradients on to the projection, and takes none itself
        frozen = {name: value.detach() for name, value in classifier.named_parameters()}
        return projected, functional_call(classifier, frozen, (projected,))


def srrl_statistics_loss(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    """Mean squared difference of the channels' means over all cells, image by image.

    `student_map`, `teacher_map`: (B, C, h, w), behind the projection; grids may differ. Pooled
    embeddings are maps of one cell: there it is the mean squared difference itself.
    """
    return (student_map.mean((2, 3)) - teacher_map.mean((2, 3))).square().mean()


def _as_map(embedding: Tensor) -> Tensor:
    """(B, D) as (B, D, 1, 1)."""
    return embedding[:, :, None, None]
