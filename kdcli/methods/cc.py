"""Correlation congruence: neighbours in a batch deviate from the teacher in different ways."""

from torch import Tensor, nn

from kdcli.core.layers import Projections
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_single_images

WIDTH = 128
"""Of the space in which the two are compared; the authors' own."""


class CC(Method):
    """Correlation Congruence for Knowledge Distillation (Peng et al.), arXiv:1904.01802.

    The loss is that of the authors' code in RepDistiller, whose weight is known. The paper's own
    is another one: the difference of two matrices of Gaussian kernels, Taylor-expanded.
    """

    kind = "relation"
    across_images = True
    needs = frozenset({"embedding"})
    default_weight = 0.02
    weight_source = "RepDistiller's scripts"

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_single_images(about)

    def adapter(self, student: Outputs, teacher: Outputs, about: About) -> nn.Module:
        assert student.embedding is not None
        assert teacher.embedding is not None
        return Projections(student.embedding.shape[1], teacher.embedding.shape[1], WIDTH)

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        assert adapter is not None
        return cc_loss(*adapter(student.embedding, teacher.embedding))


def cc_loss(student_embedding: Tensor, teacher_embedding: Tensor) -> Tensor:
    """Inner product of one image's absolute deviation with the next one's, mean over the batch.

    `student_embedding`, `teacher_embedding`: (B, D), B > 1, behind their linear layers.
    """
    deviation = (student_embedding - teacher_embedding).abs()
    return (deviation[:-1] * deviation[1:]).sum(1).mean()
