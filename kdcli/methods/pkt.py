"""Probabilistic knowledge transfer: how likely each image has each other as its neighbour."""

import torch
from torch import Tensor, nn

from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_single_images


class PKT(Method):
    """Learning Deep Representations with Probabilistic Knowledge Transfer, arXiv:1803.10837.

    By Passalis and Tefas.
    """

    kind = "relation"
    across_images = True
    needs = frozenset({"embedding"})
    default_weight = 30000.0
    weight_source = "RepDistiller's scripts; large, for the loss is a mean over B² small numbers"

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_single_images(about)

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        assert student.embedding is not None
        assert teacher.embedding is not None
        return pkt_loss(student.embedding, teacher.embedding)


def pkt_loss(student_embedding: Tensor, teacher_embedding: Tensor) -> Tensor:
    """KL(teacher ‖ student) of who is whose neighbour, as a mean over the B² pairs of images.

    `student_embedding` (B, D), `teacher_embedding` (B, E), B > 1; only directions count.
    """
    student, teacher = _neighbours(student_embedding), _neighbours(teacher_embedding)
    return (teacher * ((teacher + _SMALL).log() - (student + _SMALL).log())).mean()


_SMALL = 1e-7
"""As in the authors' code: keeps norms from 0 and probabilities from log 0."""


def _neighbours(embedding: Tensor) -> Tensor:
    """(B, B), rows sum to 1: the cosine similarities, moved from [-1, 1] to [0, 1]."""
    lengths: Tensor = torch.linalg.vector_norm(embedding, dim=1, keepdim=True)  # slope 0 at 0
    directions = embedding / (lengths + _SMALL)
    similarities = (directions @ directions.T + 1) / 2
    similarities = similarities.clamp(min=0)  # opposite directions: rounding goes below
    return similarities / similarities.sum(1, keepdim=True)
