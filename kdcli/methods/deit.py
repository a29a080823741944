"""A second token listens to the teacher, the class token to the labels."""

from typing import Literal

from pydantic import PositiveFloat
from torch import Tensor, nn

from kdcli.core.errors import UnmetNeeds
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.methods.kd import kd_loss
from kdcli.methods.kd_hard import kd_hard_loss


class DeiT(Method):
    """Training Data-efficient Image Transformers (Touvron et al.), arXiv:2012.12877.

    For students with a class head and a distillation head; the task's loss is the class head's.
    """

    kind = "response"
    needs = frozenset({"logits"})
    student_needs = frozenset({"heads"})
    default_weight = 1.0
    weight_source = "the paper: 0.5 beside 0.5 of the task"

    target: Literal["hard", "soft"] = "hard"
    """The teacher's likeliest class (the paper's choice), or all its softened probabilities."""
    # the paper's, for its soft variant; the default of the authors' code is 1
    temperature: PositiveFloat = 3.0
    """Of `soft`: softens both distributions."""

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        assert student.heads is not None
        if (heads := student.heads.shape[1]) != 2:
            raise UnmetNeeds(
                f"needs two heads, for labels and for the teacher, and this student has {heads}",
                "a student with a distillation token, such as deit_tiny_distilled_patch16_224",
            )

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        assert student.heads is not None
        listening = student.heads[:, 1]
        if self.target == "hard":
            return kd_hard_loss(listening, teacher.logits)
        # the authors' code divides by the number of classes, too: an accident of its past, as they
        # say themselves (facebookresearch/deit, issue 61)
        return kd_loss(listening, teacher.logits, self.temperature)
