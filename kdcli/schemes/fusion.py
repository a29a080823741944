"""No teacher: networks that learn together, taught by what their fused maps answer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import About, Batch, Learner, Lesson, Outputs, Pair, Teacher
from kdcli.core.scheme import Scheme
from kdcli.models.fusion import Fused, FusionBlock
from kdcli.models.model_args import shape_of
from kdcli.models.tap import Tap
from kdcli.schemes._shared import of_architecture, peers_of


class Fusion(Scheme):
    """Networks that learn together, taught by what their fused maps answer (arXiv:1904.09058).

    Feature Fusion for Online Mutual Knowledge Distillation (Kim et al. 2019): a fusion module
    answers from the last maps of all networks. Everyone learns from the labels; the fused answer
    teaches each network, and the mean of the networks' logits teaches the fused answer. Gradients
    pass through the fusion into the networks. The pairs add up, as in the paper.

    The networks are independent; the paper's share their first layers. One weight decay holds for
    all, where the authors' program gives the fusion a tenth of it. The fused model costs what all
    its networks cost together, and the baseline is the student alone: the report shows both.
    Networks that are fed images of different sizes learn, but make no fused model.
    """

    needs_teacher: ClassVar[bool] = False
    teaches_itself: ClassVar[bool] = True
    has_peers: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"stages"})
    peers: Annotated[int, Field(ge=2)] = 2
    """Networks in all, the student among them. Those that --peer does not name are copies of the
    student: they begin with other random weights, or with its own where those are pretrained or
    given, all but a classifier that is made anew."""
    shipped: Annotated[Literal["best", "fused"], Field(alias="ships")] = "best"
    """What model.pt holds: the best network of those built like the student, or the fused model;
    all others are kept beside it."""

    def parts(self, outputs: Mapping[str, Outputs], about: About) -> dict[str, nn.Module]:
        maps = [shape_of(one.stages[-1]) for one in peers_of(outputs)]
        return {"fusion": FusionBlock(maps, about.num_classes)}

    def step(
        self, models: Mapping[str, Teacher], parts: Mapping[str, nn.Module], batch: Batch
    ) -> dict[str, Outputs]:
        outputs = {name: model(batch) for name, model in models.items()}
        logits, embedding = parts["fusion"]([one.stages[-1] for one in peers_of(outputs)])
        return outputs | {"fused": Outputs("fused", logits, embedding=embedding)}

    def lesson(self, outputs: Mapping[str, Outputs]) -> Lesson:
        networks, fused = peers_of(outputs), outputs["fused"]
        # of logits, as in the paper; it is the teacher's side of its pair, and so detached
        ensemble = Outputs("ensemble", torch.stack([one.logits for one in networks]).mean(0))
        pairs = [Pair(one, fused) for one in networks]
        learners = tuple(Learner(one) for one in (*networks, fused))
        return Lesson(learners, (*pairs, Pair(fused, ensemble)))

    def ships(
        self, models: Mapping[str, nn.Module], parts: Mapping[str, nn.Module]
    ) -> dict[str, nn.Module]:
        if self.shipped == "best":
            return of_architecture(models)
        if len(fed := _sizes(models)) > 1:
            each = ", ".join(f"{name} {size}" for size, name in fed.items())
            raise UnmetNeeds(
                f"networks that are fed images of different sizes make no fused model: {each} px",
                "--set scheme.ships=best, or --peer with a model that takes the student's size",
            )
        return {"fused": _fused(models, parts)}

    def beside(
        self, models: Mapping[str, nn.Module], parts: Mapping[str, nn.Module]
    ) -> dict[str, nn.Module]:
        if self.shipped == "fused" or len(_sizes(models)) > 1:
            return dict(models)
        return {**models, "fused": _fused(models, parts)}


def _taps(models: Mapping[str, nn.Module]) -> list[Tap]:
    return [one for one in models.values() if isinstance(one, Tap)]


def _sizes(models: Mapping[str, nn.Module]) -> dict[int, str]:
    """Pixels of a side that networks are fed, and the first that is."""
    return {tap.args.input_size: tap.args.name for tap in reversed(_taps(models))}


def _fused(models: Mapping[str, nn.Module], parts: Mapping[str, nn.Module]) -> Tap:
    """The networks and their fusion, the living ones, as one model."""
    taps, block = _taps(models), parts["fusion"]
    assert isinstance(block, FusionBlock)
    first, *others = (tap.args for tap in taps)
    args = replace(first, peers=tuple(others), maps=block.maps)
    module = Fused([tap.module for tap in taps], block, args.normalisations)
    return Tap(module, args, "fused").to(taps[0].mean.device)
