"""Relational knowledge distillation: the distances and angles between the images of a batch."""

import math

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_single_images

MOST_IMAGES = 64
"""Whose angles are compared at once, for B images have B³: larger batches are cut into parts."""


class RKD(Method):
    """Relational Knowledge Distillation (Park, Kim, Lu, Cho), arXiv:1904.05068."""

    kind = "relation"
    across_images = True
    needs = frozenset({"embedding"})
    default_weight = 1.0
    weight_source = "RepDistiller's scripts: the weight lies in the two terms"

    distance_weight: NonNegativeFloat = 25.0
    """Of the distances; the authors' on CIFAR."""
    angle_weight: NonNegativeFloat = 50.0
    """Of the angles; the authors' on CIFAR."""

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_single_images(about)

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        assert student.embedding is not None
        assert teacher.embedding is not None
        return rkd_loss(
            student.embedding, teacher.embedding, self.distance_weight, self.angle_weight
        )


def rkd_loss(
    student_embedding: Tensor,
    teacher_embedding: Tensor,
    distance_weight: float = 25.0,
    angle_weight: float = 50.0,
) -> Tensor:
    """Smooth L1 of all distances (in units of their mean), and of the cosines of all angles.

    `student_embedding` (B, D), `teacher_embedding` (B, E), B > 1. Means over B² and B³, trivial
    ones included, as in the authors' code. Of more than 64 images the angles are those within
    nearly equal parts of at most 64, averaged. Images in the same place have no angle between
    them: its cosine counts as 0.
    """
    student, teacher = _distances(student_embedding), _distances(teacher_embedding)
    distance = F.smooth_l1_loss(student, teacher)
    angles = [
        F.smooth_l1_loss(_cosines(student[part, part]), _cosines(teacher[part, part]))
        for part in _parts(len(student))
    ]
    return distance_weight * distance + angle_weight * torch.stack(angles).mean()


def _distances(embedding: Tensor) -> Tensor:
    """(B, B) in units of the mean over those above 0. From differences, for inner products lose
    what is near; equal images are at exactly 0, where the gradient is 0 as well."""
    found = torch.cdist(embedding, embedding, compute_mode="donot_use_mm_for_euclid_dist")
    mean = found.sum() / (found > 0).sum().clamp(min=1)
    return found / mean.clamp(min=1e-12)  # all images in one place: 0, not 0 / 0


def _cosines(distances: Tensor) -> Tensor:
    """(B, B, B): at [j, i, k] that of the angle at j between i and k, by the law of cosines: B³
    numbers from B², where the inner products of all differences would take B³·D."""
    squares = distances.square()
    # in units of the mean distance: a millionth is the same place, to float32
    inverse = distances.masked_fill(distances < 1e-6, torch.inf).reciprocal()
    opened = squares[:, :, None] + squares[:, None, :] - squares
    return opened * inverse[:, :, None] * inverse[:, None, :] / 2


def _parts(images: int) -> list[slice]:
    """Nearly equal, of at most `MOST_IMAGES`."""
    n = math.ceil(images / MOST_IMAGES)
    return [slice(i * images // n, (i + 1) * images // n) for i in range(n)]
