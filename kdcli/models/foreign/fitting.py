"""Somebody else's weights, fitted to a model of timm key by key."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from kdcli.core.errors import UsageError
from kdcli.core.text import some
from kdcli.models.build import build_meta
from kdcli.models.checkpoint import Weights
from kdcli.models.foreign import efficientnet_pytorch
from kdcli.models.foreign.state_dicts import (
    Found,
    below,
    is_aside,
    is_averaged,
    normalisation,
    prefixes_before,
    refuse_not_finite,
    wrapper_prefixes,
)
from kdcli.models.foreign.timm_filters import converted
from kdcli.models.model_args import ModelArgs

_COUNTER = "num_batches_tracked"
"""A batch norm's, missing in files of before torch 0.4.1; only a norm without momentum reads it."""
_SHOWN = 10


@dataclass(frozen=True, eq=False)
class Fitted:
    """Weights that fit a model of timm, key by key."""

    state: Weights
    """Keys and their order are timm's."""
    num_classes: int
    """How many the classifier answers; 0: there is none."""
    notes: tuple[str, ...] = ()
    """What was chosen, changed or left out, to be said aloud."""
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    """Mean and deviation that the file keeps beside the model."""


# The model ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Wanted:
    """What a model's keys should be."""

    args: ModelArgs
    head: tuple[str, ...]
    shapes: dict[str, torch.Size]
    """With the head of `args.num_classes`."""
    where: str

    @property
    def own(self) -> set[str]:
        """The first parts of the model's keys."""
        return {key.partition(".")[0] for key in self.shapes}

    @property
    def anchor(self) -> str:
        """A key that every file of this model has."""
        return next(k for k in self.shapes if k not in self.head and not k.endswith(_COUNTER))

    def expected(self, classes: int) -> dict[str, torch.Size]:
        """With a head of so many classes; 0: none."""
        if classes:
            return {
                key: torch.Size((classes, *shape[1:])) if key in self.head else shape
                for key, shape in self.shapes.items()
            }
        return _expected(self.args, 0)


def fit(found: Sequence[Found], args: ModelArgs, where: str) -> Fitted:
    """The first of the state dicts that is the model's, as timm has it, for as many classes as it
    answers: whatever it is wrapped in, and without what stands beside it, which is said.

    An average (EMA) of parameters alone gets the buffers of the weights that it is an average of.
    What timm itself can convert for this model (old keys, another image size) is converted; what
    fits as it is is left alone, as those rules are written for the files that timm knows.

    Raises:
        UsageError: they are not that model's, with the keys that do not fit; or two models of this
            kind stand in the file, and nothing says which is meant.
        DamagedFile: NaN or infinity in what fits.
    """
    wanted = _Wanted(args, classifier_keys(args), _expected(args, args.num_classes), where)
    left: tuple[str, ...] = ()
    for i, one in enumerate(found):
        fitted = _fitting(one, wanted)
        if fitted is None and one.averaged:
            fitted = _with_buffers(one, found[i + 1 :], wanted)
        if fitted is not None:
            refuse_not_finite(fitted.state, where)
            return replace(fitted, notes=(*left, *one.notes, *fitted.notes))
        if one.averaged:
            left += (f"its averaged (EMA) weights, '{one.averaged}', do not fit: left out",)
    raise _misfit(found, wanted)


def _fitting(found: Found, wanted: _Wanted) -> Fitted | None:
    """The model as it stands somewhere in this state dict, or as timm's rules make it."""
    state = found.state
    tried = {p: _match_at(p, state, wanted) for p in prefixes_before(state, wanted.anchor)}
    if fits := {prefix: one for prefix, one in tried.items() if one}:
        return _the_one(fits, wanted)
    for prefix in wrapper_prefixes(state):
        inner = {k: v for k, v in below(state, prefix).items() if not is_aside(k, wanted.own)}
        changed, note = _as_timm_has_it(inner, wanted)
        if changed is not None and (one := _match(changed, wanted)):
            return replace(one, notes=(*_said(prefix), *one.notes, note))
    return None


def _as_timm_has_it(state: Weights, wanted: _Wanted) -> tuple[Weights | None, str]:
    """Keys that are not timm's, made so, and by what; None where nobody knows how."""
    if efficientnet_pytorch.is_theirs(state):
        if not wanted.args.name.startswith("tf_"):
            return None, ""
        found = efficientnet_pytorch.renamed(state, [*wanted.shapes])
        return found, "keys of efficientnet_pytorch as timm names them"
    found = converted(state, wanted.args)
    return found, f"keys converted by timm's own rules for {wanted.args.name}"


def _match_at(prefix: str, state: Weights, wanted: _Wanted) -> Fitted | None:
    """The model's weights below a prefix; beside them only what is no part of it."""
    inner = below(state, prefix)
    aside = {k: v for k, v in inner.items() if is_aside(k, wanted.own)}
    fitted = _match({k: v for k, v in inner.items() if k not in aside}, wanted)
    if fitted is None:
        return None
    outside = {k: v for k, v in state.items() if not k.startswith(prefix)}
    others = {**{prefix + k: v for k, v in aside.items()}, **outside}
    note = (f"left out, as no part of {wanted.args.name}: {some(others, 6)}",) if others else ()
    return replace(
        fitted, notes=(*_said(prefix), *fitted.notes, *note), normalisation=normalisation(others)
    )


def _said(prefix: str) -> tuple[str, ...]:
    return (f"keys taken without their '{prefix}'",) if prefix else ()


def _the_one(fits: dict[str, Fitted], wanted: _Wanted) -> Fitted:
    """Of a model that stands in a file more than once: the average; else all must be the same."""
    averaged = [one for prefix, one in fits.items() if is_averaged(prefix)]
    if len(averaged) == 1:
        return averaged[0]
    (first, chosen), *others = fits.items()
    for prefix, one in others:
        if not _same(chosen.state, one.state):
            name = wanted.args.name
            raise UsageError(
                f"{wanted.where}: {name} stands in it more than once, under '{first}' and "
                f"'{prefix}', with other weights",
                f"save the one that is meant: torch.save({{k.removeprefix('{prefix}'): v for k, v "
                f"in state.items() if k.startswith('{prefix}')}}, 'weights.pth')",
            )
    return chosen


def _same(one: Weights, other: Weights) -> bool:
    return all(
        one[key].shape == other[key].shape and torch.equal(one[key], other[key]) for key in one
    )


def _with_buffers(averaged: Found, plain: Sequence[Found], wanted: _Wanted) -> Fitted | None:
    """An average of parameters alone, with the buffers of the weights that it was taken of: as
    they are used that keep it so. None where more than buffers is missing."""
    base = next((one for found in plain if (one := _fitting(found, wanted))), None)
    if base is None:
        return None
    buffers = {key for key, _ in build_meta(wanted.args).named_buffers()}
    for prefix in prefixes_before(averaged.state, wanted.anchor):
        inner = below(averaged.state, prefix)
        if base.state.keys() - inner.keys() <= buffers:
            whole = {key: inner.get(key, value) for key, value in base.state.items()}
            if fitted := _match(whole, wanted):
                note = "its buffers are those of the plain weights: it has none"
                return replace(fitted, notes=(*_said(prefix), note))
    return None


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


def headless(fitted: Fitted, args: ModelArgs) -> Weights:
    """The weights without the classifier."""
    head = classifier_keys(replace(args, num_classes=fitted.num_classes))
    return {k: v for k, v in fitted.state.items() if k not in head}


def start(module: torch.nn.Module, state: Weights) -> list[str]:
    """Load the weights into a module; the keys that stay fresh, as they answer other classes."""
    own = module.state_dict()
    fresh = [
        key for key, value in own.items() if getattr(state.get(key), "shape", 0) != value.shape
    ]
    module.load_state_dict({**state, **{key: own[key] for key in fresh}}, strict=False)
    return fresh


def _match(state: Weights, wanted: _Wanted) -> Fitted | None:
    """The weights in the model's order, if every key and shape agrees; BatchNorm may not count.

    The model's order, so that the same weights give the same model.pt, however their file was made.
    """
    classes = _answers(state, wanted.head)
    try:
        expected = wanted.expected(classes)
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


def _misfit(found: Sequence[Found], wanted: _Wanted) -> UsageError:
    """What does not fit where most of it does, and the way out that it calls for."""
    args, known = wanted.args, wanted.shapes
    views = [
        below(one.state, prefix)
        for one in found
        for prefix in (*wrapper_prefixes(one.state), *prefixes_before(one.state, wanted.anchor))
    ]
    # as timm's rules leave it, where they know it: else every key of such a file would be strange
    views += [made for view in views if (made := _as_timm_has_it(view, wanted)[0]) is not None]
    state = max(views, key=lambda view: len(view.keys() & known.keys()))
    expected = wanted.expected(_answers(state, wanted.head) or args.num_classes)
    lines = _differences(state, expected)
    meant = efficientnet_pytorch.meant(args.name)
    if meant and efficientnet_pytorch.is_theirs(state):
        fix = (
            "these are weights of efficientnet_pytorch, which pads as TensorFlow does: "
            f"{meant}={wanted.where}"
        )
    elif all("unexpected:" in line for line in lines):
        fix = (
            f"{args.name} is all there, and more: name the model that has these parts, too; where "
            "they are no part of one, save the weights without them"
        )
    else:
        fix = (
            "name the model they were trained as, as in resnet50=weights.pth; "
            "its maker knows which, and whether it was timm's"
        )
    return UsageError("\n".join([f"{wanted.where} does not fit {args.name}:", *lines]), fix)


def _differences(state: Weights, expected: dict[str, torch.Size]) -> list[str]:
    """What does not fit, ten keys of each kind at most."""
    missing = [k for k in expected if k not in state and not k.endswith(_COUNTER)]
    strange = [k for k in state if k not in expected and not k.endswith(_COUNTER)]
    shaped = [
        f"{k} ({_shape(v.shape)} in the file, {_shape(expected[k])} in the model)"
        for k, v in state.items()
        if k in expected and v.shape != expected[k]
    ]
    kinds = (("missing", missing), ("unexpected", strange), ("of another shape", shaped))
    return [f"  {_listed(kind, keys)}" for kind, keys in kinds if keys]


def _listed(kind: str, keys: list[str]) -> str:
    more = f", ... and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return f"{len(keys)} {kind}: {', '.join(keys[:_SHOWN])}{more}"


def _shape(shape: torch.Size) -> str:
    return "x".join(map(str, shape)) or "a number"
