"""A module becomes Outputs: normalised and resized for this model, in its own precision."""

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdcli.core.errors import UnmetNeeds
from kdcli.core.functional import as_one
from kdcli.core.records import Batch, Outputs
from kdcli.models.heads import answering, split
from kdcli.models.model_args import ModelArgs
from kdcli.models.route import Route, View, turn_on_both_heads
from kdcli.models.stages import StageTable, stages_of


class Tap(nn.Module):
    """Asks a timm module about a batch; the module's own state keys stay timm's.

    Image size, normalisation and precision are each model's own, and are seen to here. What comes
    out is float32, outside autocast, as all losses are computed.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, module: nn.Module, args: ModelArgs, by: str, precision: str = "fp32"
    ) -> None:
        super().__init__()
        self.module = module
        self.by = by
        self.args = args
        self.precision = precision
        self.route = Route(module, View(), torch.empty(0))  # shows nothing yet: nothing is tried
        self.register_buffer("mean", _channels(args.mean), persistent=False)
        self.register_buffer("std", _channels(args.std), persistent=False)

    def exempt(self) -> set[str]:
        """Parameters that the module itself exempts from weight decay."""
        own: Any = getattr(self.module, "no_weight_decay", set)
        return set(own())

    def trunk(self) -> set[str]:
        """Parameters in front of the classifier; all, where the module names no classifier."""
        heads = _classifiers(self.module)
        last = {id(parameter) for head in heads for parameter in head.parameters()}
        return {name for name, p in self.module.named_parameters() if id(p) not in last}

    @cached_property
    def stages(self) -> StageTable:
        """Of its model at its size; probed once.

        Raises:
            UnmetNeeds: the model gives no maps.
        """
        self._refuse_closed()
        return stages_of(self.args)

    @property
    def classifier(self) -> nn.Module:
        """The last layer, as timm names it; with several heads, and how they answer as one."""
        own: Any = self.module
        return answering(own.get_classifier(), self.args)

    def show(self, view: View, images: Tensor) -> None:
        """Give all that `view` names from now on, in one pass through the trunk; tried on `images`,
        (B, 3, H, W) RGB in [0, 1].

        Raises:
            UnmetNeeds: this model cannot.
        """
        self._refuse_closed()
        if view.heads and self.args.heads > 1:
            raise UnmetNeeds(
                f"{self.args.name} has {self.args.heads} heads, one per teacher, so its "
                "distillation head has no teacher of its own",
                "with several teachers, the method deit goes with scheme average",
            )
        if view.heads:
            turn_on_both_heads(self.module)
        self.route = Route(self.module, view, self.prepare(images))

    def forward(self, batch: Batch) -> Outputs:
        images = self.prepare(batch.images)
        bf16 = self.precision == "bf16"
        # fp32 is said too: enabled=False undoes an autocast that somebody put around
        with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=bf16):
            seen = self.route(self.module, images)
        if self.args.heads > 1:
            seen["heads"] = split(seen["logits"], self.args.heads)
            seen["logits"] = as_one(seen["heads"], self.args.panel)
        return Outputs(by=self.by, **seen)

    def _refuse_closed(self) -> None:
        """Copies, exits and fused networks are modules of kd, which have no stages of their own."""
        if self.args.words == self.args.name:
            return
        raise UnmetNeeds(
            f"{self.args.words}: nothing is shown but the answer",
            "methods that read logits work with every model: kd list methods",
        )

    def prepare(self, images: Tensor) -> Tensor:
        """What the module is fed: resized to its size, then normalised."""
        size = self.args.input_size
        if images.shape[-1] != size:
            # antialiased, as an image library would; bicubic goes beyond what it is given
            images = F.interpolate(images, size=(size, size), mode="bicubic", antialias=True).clamp(
                0, 1
            )
        ready = (images - self.mean) / self.std
        return ready.contiguous(memory_format=torch.channels_last)


def _classifiers(module: nn.Module) -> tuple[nn.Module, ...]:
    own: Any = getattr(module, "get_classifier", tuple)
    found = own()
    return found if isinstance(found, tuple) else (found,)


def _channels(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)


def in_parts(model: Callable[[Batch], Outputs], batch: Batch) -> list[Outputs]:
    """What a model in eval mode answers to a batch; in halves where the device has no room for the
    whole.

    Measuring has a batch size of its own, which no recipe can lower. In eval mode no image depends
    on its neighbours, so halves answer the same.

    Raises:
        torch.OutOfMemoryError: not even one image fits.
    """
    try:
        outputs = model(batch)
    except torch.OutOfMemoryError:
        if len(batch.labels) == 1:
            raise
    else:
        return [outputs]
    # outside of `except`, where the traceback would hold the memory of what has failed
    return [outputs for _, part in batch.parts(2) for outputs in in_parts(model, part)]


@torch.no_grad()
def predict(model: nn.Module, batches: Iterable[Batch], device: torch.device) -> np.ndarray:
    """(N, K) float32 logits of every image, in order; always fp32 and in eval mode, so that models
    that learnt in different precisions are measured alike.

    `model` turns a Batch into Outputs: a tap, or something that holds taps. Its mode and precision
    are put back, also after an error; no buffer is moved.

    Raises:
        torch.OutOfMemoryError: not even one image fits.
    """
    taps = [part for part in model.modules() if isinstance(part, Tap)]
    before = model.training, [tap.precision for tap in taps]
    model.eval()
    for tap in taps:
        tap.precision = "fp32"
    try:
        found = [
            outputs.logits.cpu()
            for batch in batches
            for outputs in in_parts(model, batch.to(device))
        ]
    finally:
        model.train(before[0])
        for tap, precision in zip(taps, before[1], strict=True):
            tap.precision = precision
    return torch.cat(found).numpy()
