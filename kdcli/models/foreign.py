"""Somebody else's weights: found in what their file holds, and fitted to a model of timm."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from timm.models import model_entrypoint
from torch import Tensor

from kdcli.core.errors import DamagedFile, UsageError
from kdcli.models.build import build_meta
from kdcli.models.checkpoint import Weights
from kdcli.models.model_args import ModelArgs

_AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema")
"""Keys of averaged weights: of timm's training script, of DeiT's and torchvision's, of others."""
_PLAIN = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights")
_PREFIXES = ("_orig_mod.", "module.", "model.", "timm_model.")
"""Of torch.compile, DataParallel, Lightning, and transformers' wrapper of timm."""
_BYSTANDERS = ("n_averaged", "total_ops", "total_params")
"""Buffers that tools leave behind: torch's averaging, thop's counting."""
_COUNTER = "num_batches_tracked"
"""A batch norm's, missing in files of before torch 0.4.1; only a norm without momentum reads it."""
_SHOWN = 10


@dataclass(frozen=True, eq=False)
class Found:
    """The weights in somebody's file, before anything is known of their model."""

    state: Weights
    """Floating tensors are float32; keys without the wrappers' prefixes."""
    notes: tuple[str, ...]
    """What was chosen or changed, to be said aloud."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """Weights that fit a model of timm, key by key."""

    state: Weights
    """Keys and their order are timm's."""
    num_classes: int
    """How many the classifier answers; 0: there is none."""
    notes: tuple[str, ...] = ()


# The file ----------------------------------------------------------------------------------------


def find_state(raw: Any, where: str) -> Found:
    """The state dict in what a file holds; averaged (EMA) weights before plain ones, since whoever
    keeps an average measures and publishes that.

    It is the first mapping that holds tensors for the most part: beside weights stand an
    optimiser's state, flags, numbers. `where` is what messages call the file.

    Raises:
        DamagedFile: there is none, or it holds NaN or infinity.
    """
    for path, value in _candidates(raw):
        tensors = {key: t for key, t in value.items() if isinstance(t, Tensor)}
        if len(tensors) * 2 > len(value):
            state, notes = _unwrapped(tensors)
            state, converted = _float32(state)
            _refuse_not_finite(state, where)
            averaged = any(key in _AVERAGED for key in path)
            first = [f"its averaged (EMA) weights, '{'.'.join(path)}'"] if averaged else []
            return Found(state, (*first, *notes, *converted))
    keys = ", ".join(map(str, raw))[:200] if isinstance(raw, Mapping) else type(raw).__name__
    raise DamagedFile(
        f"{where}: no weights found in it (it holds: {keys or 'nothing'})",
        "ask its maker for its state_dict, as written by torch.save(model.state_dict(), FILE)",
    )


def _candidates(raw: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Mappings that may be the weights, with the keys that lead there; the best first, the
    outermost last, none deeper than two keys (`{"model": {"state_dict": ...}}`)."""
    if not isinstance(raw, Mapping) or len(path) > 2:
        return
    for key in (*_AVERAGED, *_PLAIN):
        if isinstance(raw.get(key), Mapping):
            yield from _candidates(raw[key], (*path, key))
    yield path, raw


def _unwrapped(state: Weights) -> tuple[Weights, list[str]]:
    """Without the prefixes that most keys share, and without what tools left behind.

    Most, not all: a tool's own buffers may stand outside of them.
    """
    notes = []
    state = {k: v for k, v in state.items() if k.rpartition(".")[2] not in _BYSTANDERS}
    # again and again: a compiled model in DataParallel has both (`_orig_mod.module.`)
    while prefix := next((p for p in _PREFIXES if _shared(p, state)), None):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
        notes.append(f"keys taken without their '{prefix}'")
    return state, notes


def _shared(prefix: str, state: Weights) -> bool:
    return sum(key.startswith(prefix) for key in state) * 2 > len(state)


def _float32(state: Weights) -> tuple[Weights, list[str]]:
    """Everything that is a fraction in full precision."""
    odd = {v.dtype for v in state.values() if v.is_floating_point() and v.dtype != torch.float32}
    if not odd:
        return state, []
    names = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in odd))
    whole = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    return whole, [f"{names} converted to float32"]


def _refuse_not_finite(state: Weights, where: str) -> None:
    odd = [k for k, v in state.items() if v.is_floating_point() and not v.isfinite().all()]
    if odd:
        raise DamagedFile(
            f"{where}: NaN or infinity in {len(odd)} of {len(state)} tensors, first in {odd[0]}",
            "take an earlier checkpoint: this training has failed, or the file is damaged",
        )


# The model ---------------------------------------------------------------------------------------


def fit(state: Weights, args: ModelArgs, where: str) -> Fitted:
    """The weights as the model that `args` describes has them, for as many classes as they answer.

    What timm itself can convert for this model (old keys, another image size) is converted; what
    fits as it is is left alone, as those rules are written for the files that timm knows.

    Raises:
        UsageError: they are not that model's, with the keys that do not fit.
    """
    head = classifier_keys(args)
    if fitted := _match(state, args, head):
        return fitted
    converted = _converted(state, args)
    if converted is not None and (fitted := _match(converted, args, head)):
        note = f"keys converted by timm's own rules for {args.name}"
        return replace(fitted, notes=(*fitted.notes, note))
    classes = _answers(state, head) or args.num_classes
    raise UsageError(
        _differences(state, _expected(args, classes), f"{where} does not fit {args.name}"),
        "name the model they were trained as, as in resnet50=weights.pth; "
        "its maker knows which, and whether it was timm's",
    )


def classifier_keys(args: ModelArgs) -> tuple[str, ...]:
    """The keys whose first dimension is the number of classes: those that change with it, since
    timm's models call and build their classifiers in many ways."""
    one, more = _expected(args, args.num_classes), _expected(args, args.num_classes + 1)
    return tuple(key for key in one if one[key] != more[key])


def reordered(fitted: Fitted, args: ModelArgs, order: list[int]) -> Weights:
    """The weights with the classifier's answers in another order: new i is old order[i].

    Not of the logits at run time: what is exported needs no permutation then.
    """
    head = classifier_keys(replace(args, num_classes=fitted.num_classes))
    return {k: v[order].clone() if k in head else v for k, v in fitted.state.items()}


def start(module: torch.nn.Module, state: Weights) -> list[str]:
    """Load the weights into a module; the keys that stay fresh, as they answer other classes."""
    own = module.state_dict()
    fresh = [
        key for key, value in own.items() if getattr(state.get(key), "shape", 0) != value.shape
    ]
    module.load_state_dict({**state, **{key: own[key] for key in fresh}}, strict=False)
    return fresh


def _match(state: Weights, args: ModelArgs, head: tuple[str, ...]) -> Fitted | None:
    """The weights in the model's order, if every key and shape agrees; BatchNorm may not count.

    The model's order, so that the same weights give the same model.pt, however their file was made.
    """
    classes = _answers(state, head)
    try:
        expected = _expected(args, classes)
    except Exception:  # some of timm's models cannot be built without a classifier
        return None
    missing = [key for key in expected if key not in state and not key.endswith(_COUNTER)]
    if missing or any(expected.get(key) != value.shape for key, value in state.items()):
        return None
    zero = torch.zeros((), dtype=torch.int64)
    return Fitted({key: state.get(key, zero.clone()) for key in expected}, classes)


def _answers(state: Weights, head: tuple[str, ...]) -> int:
    """How many classes the weights answer; 0 where they have no classifier."""
    return next((len(state[key]) for key in head if key in state and state[key].ndim), 0)


def _expected(args: ModelArgs, classes: int) -> dict[str, torch.Size]:
    state = build_meta(replace(args, num_classes=classes)).state_dict()
    return {key: value.shape for key, value in state.items()}


def _converted(state: Weights, args: ModelArgs) -> Weights | None:
    """What the model's own file in timm makes of foreign keys; None where it has no rules."""
    module = sys.modules[model_entrypoint(args.name.partition(".")[0]).__module__]
    rules = getattr(module, "checkpoint_filter_fn", None) or getattr(module, "_filter_fn", None)
    if rules is None:
        return None
    try:
        found = rules(dict(state), build_meta(args))  # rules look at the model's shapes alone
    except Exception:  # written for the files that timm knows, and for no others
        return None
    # not all of them: who takes values from the model gets tensors without storage
    usable = isinstance(found, dict) and all(
        isinstance(value, Tensor) and not value.is_meta for value in found.values()
    )
    return found if usable else None


def _differences(state: Weights, expected: dict[str, torch.Size], head: str) -> str:
    """What does not fit, ten keys of each kind at most."""
    missing = [k for k in expected if k not in state and not k.endswith(_COUNTER)]
    strange = [k for k in state if k not in expected and not k.endswith(_COUNTER)]
    shaped = [
        f"{k} ({_shape(v.shape)} in the file, {_shape(expected[k])} in the model)"
        for k, v in state.items()
        if k in expected and v.shape != expected[k]
    ]
    kinds = (("missing", missing), ("unexpected", strange), ("of another shape", shaped))
    return "\n".join([f"{head}:", *(f"  {_listed(kind, keys)}" for kind, keys in kinds if keys)])


def _listed(kind: str, keys: list[str]) -> str:
    more = f", ... and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return f"{len(keys)} {kind}: {', '.join(keys[:_SHOWN])}{more}"


def _shape(shape: torch.Size) -> str:
    return "x".join(map(str, shape)) or "a number"
