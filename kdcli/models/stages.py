"""A model's stages: where its maps shrink, and how wide they are; shapes only, no arithmetic."""

from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn

from kdcli.core.errors import UnmetNeeds
from kdcli.models.build import build, build_meta
from kdcli.models.intermediates import intermediates
from kdcli.models.model_args import ModelArgs


@dataclass(frozen=True)
class Stage:
    """One of the maps that timm's `forward_intermediates` gives."""

    index: int
    """Its number there; what `match.pairs` names."""
    channels: int
    height: int
    width: int
    stride: float
    """Pixels of the model's input per cell, along a side."""


@dataclass(frozen=True)
class StageTable:
    """All stages of a model at one input size, in depth order."""

    model: str
    input_size: int
    stages: tuple[Stage, ...]
    """The last map of each grid; all maps of a columnar model."""
    columnar: bool
    """Every map has the same grid, as in a ViT: depth is all that tells them apart."""

    @property
    def main(self) -> tuple[Stage, ...]:
        """Those to be matched: without what is finer than 4 pixels, where two others remain.

        RepDistiller's comparisons of methods leave the stem out, too.
        """
        coarse = tuple(stage for stage in self.stages if stage.stride >= 4)
        return self.stages if self.columnar or len(coarse) < 2 else coarse


def stages_of(args: ModelArgs) -> StageTable:
    """The stages of the model that `args` builds, at its input size.

    Probed on the meta device and never taken from timm's `feature_info`, which is wrong for some:
    it gives tresnet's stem a stride of 2, which is 4. At the size of the training, since strides of
    Inception, Xception and NASNet are no whole numbers and depend on it.

    Raises:
        UnmetNeeds: the model gives no maps.
    """
    size = args.input_size
    maps = _probe(args)
    stages = tuple(
        Stage(i, m.shape[1], m.shape[2], m.shape[3], size / m.shape[2]) for i, m in enumerate(maps)
    )
    runs = [tuple(run) for _, run in groupby(stages, key=lambda s: (s.height, s.width))]
    if len(runs) == 1:
        return StageTable(args.name, size, stages, columnar=len(stages) > 1)
    return StageTable(args.name, size, tuple(run[-1] for run in runs), columnar=False)


def _probe(args: ModelArgs) -> list[Tensor]:
    """Without storage where the model allows that, as 97 of timm's 98 modules do; else (gemma4_vit,
    which reads a value by `.item()`) with a real image."""
    try:
        return _maps(build_meta(args), args, "meta")
    except Exception:  # some models read values while they run, which meta tensors do not have
        try:
            with torch.device("cpu"):  # also where a meta model is being built
                return _maps(build(args), args, "cpu")
        except Exception as error:
            raise UnmetNeeds(
                f"{args.name} does not show what its layers see: {error}",
                "methods that read logits work with every model: kd list methods",
            ) from error


@torch.no_grad()
def _maps(module: nn.Module, args: ModelArgs, device: str) -> list[Tensor]:
    images = torch.zeros(1, 3, args.input_size, args.input_size, device=device)
    return intermediates(module.eval(), images)
