"""Keys of the package efficientnet_pytorch and its kin (`_conv_stem`, `_blocks.3._bn1`), as timm's.

Their weights are TensorFlow's, and so is their padding: they are timm's `tf_` models, and answer
otherwise in those without.
"""

import re

import timm

from kdcli.models.checkpoint import Weights

_OUTSIDE = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_SEPARABLE = _INVERTED | {"_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""A block that does not expand its channels."""
_IN_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(.+)")


def is_theirs(state: Weights) -> bool:
    """Whether the keys are of that kind."""
    return "_conv_stem.weight" in state


def meant(name: str) -> str | None:
    """The model that such weights are of, where somebody named its namesake that pads otherwise."""
    return f"tf_{name}" if timm.is_model(f"tf_{name}") else None


def renamed(state: Weights, keys: list[str]) -> Weights | None:
    """The weights under timm's names for this model, whose `keys` tell its blocks in order; None
    where a name or the number of blocks is another."""
    found_in = (re.match(r"blocks\.\d+\.\d+", key) for key in keys)
    blocks = list(dict.fromkeys(one.group() for one in found_in if one))
    found: Weights = {}
    for key, value in state.items():
        if inside := _IN_BLOCK.fullmatch(key):
            number, part, rest = int(inside[1]), inside[2], inside[3]
            expands = f"_blocks.{number}._expand_conv.weight" in state
            name = (_INVERTED if expands else _SEPARABLE).get(part)
            place = blocks[number] if number < len(blocks) else None
            if name is None or place is None:
                return None
            found[f"{place}.{name}.{rest}"] = value
        else:
            part, _, rest = key.partition(".")
            if part not in _OUTSIDE:
                return None
            found[f"{_OUTSIDE[part]}.{rest}"] = value
    return found
