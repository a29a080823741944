"""Regression: where the teacher puts an image, guessed from the student's embedding by a head."""

import torch.nn.functional as F
from torch import Tensor, nn

from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_single_images


class SimReg(Method):
    """SimReg: Regression as a Simple Yet Effective Tool (Navaneet et al.), arXiv:2201.05131.

    For teachers that were trained for something else (self-supervised in the paper): of their
    embedding only the direction counts, no class of theirs. Head and distance are those of the
    authors' code, and both models see the same view, as in their command. There the student learns
    from nothing else, and a classifier is fitted to it afterwards; here it learns beside it.
    """

    kind = "feature"
    needs = frozenset({"embedding"})
    default_weight = 10.0
    weight_source = (
        "a choice: the authors have no other loss, and 10 makes it about half of the gradient"
    )

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_single_images(about, "learns with batch norms")

    def adapter(self, student: Outputs, teacher: Outputs, about: About) -> nn.Module:
        assert student.embedding is not None
        assert teacher.embedding is not None
        return head(student.embedding.shape[1], teacher.embedding.shape[1])

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        assert teacher.embedding is not None
        assert adapter is not None
        return simreg_loss(adapter(student.embedding), teacher.embedding)


def head(student: int, teacher: int) -> nn.Module:
    """(B, D) to (B, E): four linear layers, D -> 2D -> D -> 2D -> E, with batch norm and ReLU
    behind the first and the third, as in the authors' command. It never ships."""
    return nn.Sequential(
        *_layer(student, 2 * student),
        nn.Linear(2 * student, student),
        *_layer(student, 2 * student),
        nn.Linear(2 * student, teacher),
    )


def _layer(inner: int, outer: int) -> list[nn.Module]:
    return [nn.Linear(inner, outer), nn.BatchNorm1d(outer), nn.ReLU()]


def simreg_loss(student_embedding: Tensor, teacher_embedding: Tensor) -> Tensor:
    """Squared distance of two directions, mean over images: 2 - 2 cos, in [0, 4].

    `student_embedding`, `teacher_embedding`: (B, E), the student's behind the head; no length
    counts.
    """
    student, teacher = (F.normalize(e, dim=1) for e in (student_embedding, teacher_embedding))
    return (student - teacher).square().sum(1).mean()
