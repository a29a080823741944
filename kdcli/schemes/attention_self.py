"""No teacher: views of one image, whose answers as one teach each of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from kdcli.core.functional import as_one
from kdcli.core.records import Batch, Learner, Lesson, Outputs, Pair, Panel, Teacher
from kdcli.core.scheme import Scheme
from kdcli.models.attention_maps import attention, energy, spatial
from kdcli.models.image_views import ImageView, largest, mean


def _distinct(scales: tuple[float, ...]) -> tuple[float, ...]:
    if len({1.0, *scales}) <= len(scales):
        raise ValueError("expects factors that differ from each other and from 1")
    return scales


Scales = tuple[Annotated[float, Field(ge=0.5, le=2)], ...]


class AttentionSelf(Scheme):
    """A model taught by its own views of an image: as it is, mirrored, scaled (arXiv:2010.12023).

    Comprehensive Attention Self-Distillation (Huang et al. 2020), carried from weakly supervised
    detection to classification. Each view imitates all of them as one: their mean (probabilities,
    embedding, maps laid on the image), and of attention the maximum, which the method casd reads.
    The model runs once per view, so that a step costs as many passes; its batch norms see each view
    as a batch of its own.
    """

    needs_teacher: ClassVar[bool] = False
    teaches_itself: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"stages"})
    scales: Annotated[Scales, Field(strict=False), AfterValidator(_distinct)] = ()
    """A further view for each, on the same canvas: 0.75 from farther away, amid reflections, 1.25
    the middle, nearer. The image as it is and its mirror image are always there."""
    labels: Literal["plain", "all"] = "plain"
    """Whether they are asked of the images as they are, or of every view: a mirrored shoe is a
    shoe, a mirrored digit is none."""
    layers: Annotated[int, Field(ge=1)] = 3
    """Attention maps of the last so many stages that have more than one cell; kd shows four
    stages at most."""

    def views(self) -> dict[str, ImageView]:
        """By who answers, the images as they are first."""
        others = ImageView(flip=True), *(ImageView(scale=scale) for scale in self.scales)
        return {"student": ImageView()} | {f"student@{view.name}": view for view in others}

    def step(
        self, models: Mapping[str, Teacher], parts: Mapping[str, nn.Module], batch: Batch
    ) -> dict[str, Outputs]:
        ask = models["student"]
        return {
            name: replace(ask(replace(batch, images=view.turn(batch.images))), by=name)
            for name, view in self.views().items()
        }

    def lesson(self, outputs: Mapping[str, Outputs]) -> Lesson:
        views = self.views()
        answers = [outputs[name] for name in views]
        seen = [
            replace(one, features=one.stages, attention=self._attention(one)) for one in answers
        ]
        everyone = _as_one(tuple(views.values()), seen)
        share = 1 / len(views)
        pairs = [
            Pair(one, _shown(everyone, view), share)
            for one, view in zip(seen, views.values(), strict=True)
        ]
        learners = [Learner(one, share) for one in answers]
        plain = self.labels == "plain"
        return Lesson((Learner(answers[0]),) if plain else tuple(learners), tuple(pairs))

    def _attention(self, outputs: Outputs) -> tuple[Tensor, ...]:
        return tuple(attention(energy(stage)) for stage in spatial(outputs.stages, self.layers))


@torch.no_grad()  # a target: nobody learns through it
def _as_one(views: Sequence[ImageView], answers: Sequence[Outputs]) -> Outputs:
    """All views of the images as one answer, its maps as they lie on the images."""
    embeddings = [one.embedding for one in answers if one.embedding is not None]

    def each_mean(field: str) -> tuple[Tensor, ...]:
        layers = zip(*(getattr(one, field) for one in answers), strict=True)
        return tuple(mean(views, layer) for layer in layers)

    return Outputs(
        by="student@all",
        logits=as_one(torch.stack([one.logits for one in answers], 1), Panel.even(len(views))),
        stages=each_mean("stages"),
        embedding=torch.stack(embeddings).mean(0) if embeddings else None,
        preactivations=each_mean("preactivations"),
        attention=tuple(
            largest(views, layer) for layer in zip(*(a.attention for a in answers), strict=True)
        ),
    )


@torch.no_grad()
def _shown(everyone: Outputs, view: ImageView) -> Outputs:
    """With its maps as the view shows them."""
    stages = tuple(view.turn(stage) for stage in everyone.stages)
    return replace(
        everyone,
        stages=stages,
        features=stages,
        preactivations=tuple(view.turn(one) for one in everyone.preactivations),
        attention=tuple(view.turn(one) for one in everyone.attention),
    )
