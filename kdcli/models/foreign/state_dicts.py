"""Where in somebody's file the weights are: candidates, the best first, and their prefixes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kdcli.core.errors import DamagedFile
from kdcli.models.checkpoint import Weights

_AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "shadow")
"""Keys of averaged weights: of timm's training script, of DeiT's and torchvision's, of others."""
_PLAIN = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights")
_HOLDERS = {
    *("_orig_mod", "module", "model", "timm_model", "backbone", "encoder", "net", "network"),
    *("teacher", "student", "classifier", "trunk", "base_model", *_AVERAGED),
}
"""What modules that hold a model call it: torch.compile's, DataParallel's, Lightning's, others'."""
_BYSTANDERS = ("n_averaged", "total_ops", "total_params")
"""Buffers that tools leave behind: torch's averaging, thop's counting."""
_ASIDE = re.compile(
    r"aux.*|.*(loss|criterion|metric|accuracy|auroc|f1|precision|recall|confusion).*"
    r"|(.*_)?acc(_.*|\d*)|.*(mean|std|normali[sz](e|er|ation))",
    re.IGNORECASE,
)
"""What a training keeps beside its model, by the first part of the key: losses, metrics, an
auxiliary head (Inception), the images' normalisation."""


@dataclass(frozen=True, eq=False)
class Found:
    """A state dict in somebody's file, before anything is known of its model."""

    state: Weights
    """Floating tensors are float32; the keys are the file's."""
    notes: tuple[str, ...] = ()
    """What was chosen or changed, to be said aloud."""
    averaged: str = ""
    """The keys that lead to it, where it is an average (EMA) of a training's weights."""


def find_states(raw: Any, where: str) -> tuple[Found, ...]:
    """The state dicts in what a file holds; averaged (EMA) ones before plain ones, since whoever
    keeps an average measures and publishes that.

    Each is a mapping that holds tensors for the most part: beside weights stand an optimiser's
    state, flags, numbers. `where` is what messages call the file.

    Raises:
        DamagedFile: there is none.
    """
    found: list[Found] = []
    for path, value in _candidates(raw):
        tensors = {str(key): t for key, t in value.items() if isinstance(t, Tensor)}
        if tensors and len(tensors) * 2 > len(value):
            found.append(_found(tensors, path))
    if found:
        return tuple(found)
    keys = ", ".join(map(str, raw))[:200] if isinstance(raw, Mapping) else type(raw).__name__
    raise DamagedFile(
        f"{where}: no weights found in it (it holds: {keys or 'nothing'})",
        "ask its maker for its state_dict, as written by torch.save(model.state_dict(), FILE)",
    )


def _found(tensors: Weights, path: tuple[str, ...]) -> Found:
    state = {k: v for k, v in tensors.items() if k.rpartition(".")[2] not in _BYSTANDERS}
    state, converted = _float32(state)
    averaged = ".".join(path) if any(key in _AVERAGED for key in path) else ""
    first = (f"its averaged (EMA) weights, '{averaged}'",) if averaged else ()
    return Found(state, (*first, *converted), averaged)


def _candidates(raw: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Mappings that may be the weights, with the keys that lead there; the best first, the
    outermost last, none deeper than two keys (`{"model": {"state_dict": ...}}`)."""
    if not isinstance(raw, Mapping) or len(path) > 2:
        return
    for key in (*_AVERAGED, *_PLAIN):
        if isinstance(raw.get(key), Mapping):
            yield from _candidates(raw[key], (*path, key))
    yield path, raw


def _float32(state: Weights) -> tuple[Weights, tuple[str, ...]]:
    """Everything that is a fraction in full precision."""
    odd = {v.dtype for v in state.values() if v.is_floating_point() and v.dtype != torch.float32}
    if not odd:
        return state, ()
    names = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in odd))
    whole = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    return whole, (f"{names} converted to float32",)


def refuse_not_finite(state: Weights, where: str) -> None:
    """Raise DamagedFile for NaN or infinity, with the first key."""
    odd = [k for k, v in state.items() if v.is_floating_point() and not v.isfinite().all()]
    if odd:
        raise DamagedFile(
            f"{where}: NaN or infinity in {len(odd)} of {len(state)} tensors, first in {odd[0]}",
            "take an earlier checkpoint: this training has failed, or the file is damaged",
        )


# Prefixes ----------------------------------------------------------------------------------------


def prefixes_before(state: Weights, key: str) -> list[str]:
    """What stands before a model's `key` in these keys, the shortest first: `""`, `model.`, ..."""
    found = (k.removesuffix(key) for k in state if k.endswith(key))
    return sorted({p for p in found if not p or p.endswith(".")}, key=lambda p: (len(p), p))


def wrapper_prefixes(state: Weights) -> list[str]:
    """Chains of what wrappers call a model, the shortest first, and `""`: for keys of which nobody
    knows what they should be."""
    found, fresh = [""], [""]
    while fresh:
        fresh = [f"{p}{word}." for p in fresh for word in _first_words(below(state, p)) & _HOLDERS]
        found += sorted(fresh)
    return found


def _first_words(state: Weights) -> set[str]:
    return {first for first, dot, _ in (key.partition(".") for key in state) if dot}


def below(state: Weights, prefix: str) -> Weights:
    """The tensors below a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def is_aside(key: str, own: set[str]) -> bool:
    """Whether a key is of something beside the model, whose own first parts of keys are `own`."""
    first = key.partition(".")[0]
    return first not in own and _ASIDE.fullmatch(first) is not None


def is_averaged(prefix: str) -> bool:
    """Whether a prefix says that what it holds is an average: `ema_model.`, `model_ema.module.`."""
    return any(re.search(r"(^|_)(ema|swa|averaged?)(_|$)", part) for part in prefix.split("."))


def normalisation(aside: Weights) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and deviation of the images in [0, 1], where a module kept them beside its model as
    three numbers each, out of 255 or of 1; None where there are no such two."""
    found: dict[str, list[float]] = {}
    for key, value in aside.items():
        word = re.search(r"(mean|std)$", key, re.IGNORECASE)
        if word and value.is_floating_point() and value.numel() == 3:
            found.setdefault(word[1].lower(), value.flatten().tolist())
    if found.keys() != {"mean", "std"}:
        return None
    mean, std = found["mean"], found["std"]
    if max(*mean, *std) > 2:  # out of 255
        mean, std = [m / 255 for m in mean], [s / 255 for s in std]
    if min(mean) < 0 or max(mean) > 1 or min(std) <= 0 or max(std) > 1:
        return None
    return tuple(round(m, 6) for m in mean), tuple(round(s, 6) for s in std)
