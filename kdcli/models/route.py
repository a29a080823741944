"""From a model's images to all that was asked of it, in one pass through its trunk."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kdcli.core.errors import UnmetNeeds
from kdcli.models.intermediates import intermediates
from kdcli.models.stage_endings import Ending, endings


@dataclass(frozen=True)
class View:
    """What is to be seen of a model besides its logits."""

    stages: tuple[int, ...] = ()
    """Indices of timm's `forward_intermediates`, ascending."""
    embedding: bool = False
    preactivations: bool = False
    heads: bool = False
    """Both heads of a model with a distillation token; its embedding is then not shown."""


class Route:
    """How one model is asked: as a whole, or trunk first and then its head.

    Models are asked, never wrapped, so that their state keys stay timm's. What timm promises of
    `forward_intermediates`, `forward_features` and `forward_head` is tried on two images before it
    is relied upon.

    Raises:
        UnmetNeeds: the model cannot show what `view` names, tried on `images`, ready to be fed.
    """

    def __init__(self, module: nn.Module, view: View, images: Tensor) -> None:
        self.view = view
        self.linear = False
        """Whether logits = classifier(embedding)."""
        self.endings: tuple[Ending, ...] = ()
        self.compiled: Callable[..., dict[str, Any]] | None = None
        """`Route.ask` by torch.compile (`models.compiled`)."""
        if view == View():
            return
        with _asking(module):
            if view.preactivations:
                self.endings = endings(module, images, view.stages)
            self._try(module, images)

    def __call__(self, module: nn.Module, images: Tensor) -> dict[str, Any]:
        """The fields of Outputs that the view names, in float32."""
        if self.compiled is None:
            return self.ask(module, images)
        return self.compiled(self, module, images)

    def ask(self, module: nn.Module, images: Tensor) -> dict[str, Any]:
        """The same, never compiled."""
        timm_model: Any = module
        if self.view == View():
            return {"logits": timm_model(images).float()}
        seen: dict[str, Any] = {}
        if not self.view.stages:
            return self._answers(timm_model, timm_model.forward_features(images))
        # hooks for this call alone: a deep copy (the moving average) must look at its own modules
        with _inputs_of([ending.activation for ending in self.endings]) as before:
            final, maps = timm_model.forward_intermediates(
                images, indices=list(self.view.stages), output_fmt="NCHW"
            )
        seen["stages"] = tuple(found.float() for found in maps)
        if self.view.preactivations:
            seen["preactivations"] = tuple(
                before.get(i, found).float() for i, found in enumerate(maps)
            )
        return seen | self._answers(timm_model, final)

    def _answers(self, module: Any, final: Tensor) -> dict[str, Tensor]:
        if self.view.heads:
            heads = _both_heads(module, final)
            # labels teach the class head alone; asked, both answer as one: as timm has it
            logits = heads[:, 0] if module.training else heads.mean(1)
            return {"logits": logits, "heads": heads}
        if not self.view.embedding:
            return {"logits": module.forward_head(final).float()}
        embedding = module.forward_head(final, pre_logits=True)
        # one head call where it can be: a second would draw another dropout mask
        logits = module.get_classifier()(embedding) if self.linear else module.forward_head(final)
        return {"logits": logits.float(), "embedding": embedding.float()}

    def _try(self, module: nn.Module, images: Tensor) -> None:
        """Its parts must add up to the whole, and a stage must still be what it was.

        A later in-place operation would change a map after it was collected. torch counts those in
        `Tensor._version`, but also those of before, so a pass that stops there is compared.
        """
        timm_model: Any = module
        name = type(module).__name__
        whole = timm_model(images).float()
        if self.view.embedding:
            embedding = timm_model.forward_head(
                timm_model.forward_features(images), pre_logits=True
            )
            self.linear = _same_without_error(timm_model.get_classifier(), embedding, whole)
        seen = self(module, images)
        if not _same(seen["logits"], whole):
            raise UnmetNeeds(
                f"{name}: the parts of this model do not add up to its answer",
                "methods that read logits work with every model: kd list methods",
            )
        for index, found in zip(self.view.stages, seen.get("stages", ()), strict=True):
            (alone,) = intermediates(module, images, [index], stop_early=True)
            if not _same(alone.float(), found):
                raise UnmetNeeds(
                    f"{name}: stage {index} is overwritten by what follows it",
                    "choose other stages: --set match.pairs=[[...]], see kd match",
                )


@contextmanager
def _inputs_of(activations: Sequence[nn.Module | None]) -> Iterator[dict[int, Tensor]]:
    """What each of these is given inside, by its place; a copy where it works in place."""
    given: dict[int, Tensor] = {}

    def keep(place: int) -> Any:
        def hook(activation: Any, inputs: tuple[Tensor, ...]) -> None:
            in_place = getattr(activation, "inplace", False)
            given[place] = inputs[0].clone() if in_place else inputs[0]

        return hook

    hooks = [
        activation.register_forward_pre_hook(keep(place))
        for place, activation in enumerate(activations)
        if activation is not None
    ]
    try:
        yield given
    finally:
        for hook in hooks:
            hook.remove()


def _same(first: Tensor, second: Tensor) -> bool:
    """But for rounding, which another order of the same operations may bring."""
    return first.shape == second.shape and torch.allclose(first, second, rtol=1e-3, atol=1e-4)


def _same_without_error(classifier: Any, embedding: Tensor, whole: Tensor) -> bool:
    """Some models have several classifiers, or none that takes the embedding."""
    try:
        return _same(classifier(embedding).float(), whole)
    except (TypeError, NotImplementedError, RuntimeError):
        return False


def _both_heads(module: Any, final: Tensor) -> Tensor:
    """(B, 2, K): class head and distillation head, which timm gives in training mode only."""
    asked = [part for part in module.modules() if getattr(part, "distilled_training", False)]
    before = [part.training for part in asked]
    for part in asked:
        part.training = True  # of these parts alone: their norms and dropouts stay as they are
    try:
        heads = module.forward_head(final)
    finally:
        for part, training in zip(asked, before, strict=True):
            part.training = training
    if not isinstance(heads, tuple) or len(heads) != 2:
        raise _no_second_head(module)
    return torch.stack(heads, 1).float()


def turn_on_both_heads(module: nn.Module) -> None:
    """Let a model with a distillation token answer with both heads while it learns.

    Raises:
        UnmetNeeds: it has no second head.
    """
    switch: Any = getattr(module, "set_distilled_training", None)
    if switch is None:
        raise _no_second_head(module)
    switch(True)


def _no_second_head(module: nn.Module) -> UnmetNeeds:
    return UnmetNeeds(
        f"{type(module).__name__} has no distillation head",
        "students that have one: deit_tiny_distilled_patch16_224, levit_128s, repvit_m0_9",
    )


@contextmanager
def _asking(module: nn.Module) -> Iterator[None]:
    """Eval mode, no gradients: nothing is moved by a question."""
    training = module.training
    module.eval()
    with torch.no_grad():
        yield
    module.train(training)
