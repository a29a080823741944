"""No teacher: a network whose early exits learn from its own last layers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from pydantic import NonNegativeFloat
from torch import nn

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import About, Batch, Learner, Lesson, Outputs, Pair, Teacher
from kdcli.core.scheme import Scheme
from kdcli.core.undefined_losses import refuse_single_images
from kdcli.models.early_exits import EarlyExit, ExitHead
from kdcli.models.model_args import shape_of
from kdcli.models.tap import Tap


class Exits(Scheme):
    """Early exits that learn from the labels and from their own deepest layers (arXiv:1905.08094).

    Be Your Own Teacher (Zhang et al. 2019): behind each stage but the last (of at most four) stands
    a small classifier, which imitates the answer of the deepest, and with a feature method the map
    of the last stage; the losses of all exits are summed. What ships is the deepest, without the
    others; each exit is kept beside it as a smaller model of its own, `exit_1` the shallowest:
    `kd export RUN --which exit_1`.
    """

    needs_teacher: ClassVar[bool] = False
    teaches_itself: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"stages"})
    labels: NonNegativeFloat = 0.7  # 1 - alpha, the authors' alpha of 0.3
    """What the labels weigh for each exit, beside 1 for the deepest; with the weight of `kd` it
    makes 1 in the paper."""

    def parts(self, outputs: Mapping[str, Outputs], about: About) -> dict[str, nn.Module]:
        refuse_single_images(about, "scheme exits learns with batch norms")
        *early, last = outputs["student"].stages
        if not early:
            raise UnmetNeeds(
                "scheme exits: the student has one stage, and none in front of it to leave from",
                "choose another student: kd inspect and kd match show stages",
            )
        return {
            f"exit_{i}": ExitHead(shape_of(stage), shape_of(last), about.num_classes)
            for i, stage in enumerate(early, 1)
        }

    def step(
        self, models: Mapping[str, Teacher], parts: Mapping[str, nn.Module], batch: Batch
    ) -> dict[str, Outputs]:
        student = models["student"](batch)
        outputs = {"student": student}
        for (name, head), stage in zip(parts.items(), student.stages[:-1], strict=True):
            by = _role(name)
            features, pooled, logits = head(stage)
            outputs[by] = Outputs(by, logits, embedding=pooled, features=(features,))
        return outputs

    def lesson(self, outputs: Mapping[str, Outputs]) -> Lesson:
        student = outputs["student"]
        early = [answer for name, answer in outputs.items() if name.startswith("exit.")]
        deepest = replace(student, features=student.stages[-1:])
        return Lesson(
            (Learner(student), *(Learner(one, self.labels) for one in early)),
            tuple(Pair(one, deepest) for one in early),
        )

    def beside(
        self, models: Mapping[str, nn.Module], parts: Mapping[str, nn.Module]
    ) -> dict[str, nn.Module]:
        student = models["student"]
        assert isinstance(student, Tap)  # tune=head has been refused
        places = zip(parts.items(), student.route.view.stages[:-1], strict=True)
        return {_role(name): _exit(student, head, at, _role(name)) for (name, head), at in places}


def _role(part: str) -> str:
    """`exit_1` as everyone else is called: a ModuleDict takes no dots."""
    return part.replace("_", ".")


def _exit(student: Tap, head: nn.Module, stage: int, by: str) -> Tap:
    """The student up to a stage, and its head there, as a model: the weights are theirs."""
    assert isinstance(head, ExitHead)
    module = EarlyExit(student.module, head, stage)
    args = replace(student.args, exit=stage, maps=head.maps)
    tap = Tap(module, args, by, student.precision)
    return tap.to(student.mean.device)
