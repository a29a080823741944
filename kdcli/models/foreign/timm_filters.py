"""timm's own converters: what a model's file in timm makes of keys that are not timm's."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import timm
import torch
from timm.models import _builder
from torch import Tensor, nn

from kdcli.models.checkpoint import Weights
from kdcli.models.model_args import ModelArgs


@dataclass(frozen=True, eq=False)
class _Load:
    """What timm was about to do when it had built a model: read a file, filter it, load it."""

    model: nn.Module
    filter_fn: Callable[..., Any] | None


def converted(state: Weights, args: ModelArgs) -> Weights | None:
    """The weights with timm's keys, as timm makes them of a file that it knows; None where it has
    no rules for this model, or they were written for other files."""
    load = _loading(args)
    if load is None or load.filter_fn is None:
        return None
    try:
        found = _call(load.filter_fn, dict(state), load.model)
    except Exception:  # written for the files that timm knows, and for no others
        return None
    # who takes values from the model gets tensors without storage: not the file's weights
    usable = isinstance(found, dict) and all(
        isinstance(value, Tensor) and not value.is_meta for value in found.values()
    )
    return found if usable else None


def _call(rules: Callable[..., Any], state: Weights, model: nn.Module) -> Any:
    """With the model where they want it. timm tries it with two arguments and, on a TypeError, with
    one; looking first, an error of the rules' own is no reason to call them again."""
    places = [
        one
        for one in inspect.signature(rules).parameters.values()
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    return rules(state, model) if len(places) > 1 else rules(state)


def _loading(args: ModelArgs) -> _Load | None:
    """The model on the meta device (rules look at its shapes alone) and its converter.

    Only timm's builder knows which function of which module belongs to a model: it is asked to
    build a pretrained one, and stopped where it would read the file.
    """
    seen: list[_Load] = []
    options = dict(args.options) | ({"img_size": args.img_size} if args.img_size else {})
    with _no_file_read(seen), torch.device("meta"):
        try:
            timm.create_model(args.name, pretrained=True, num_classes=args.num_classes, **options)
        except Exception:  # models without weights of timm's
            return None
    return seen[-1] if seen else None


@contextmanager
def _no_file_read(seen: list[_Load]) -> Iterator[None]:
    def note(model: nn.Module, *_: Any, filter_fn: Any = None, **__: Any) -> None:
        seen.append(_Load(model, filter_fn))

    before = _builder.load_pretrained
    _builder.load_pretrained = note
    try:
        yield
    finally:
        _builder.load_pretrained = before
