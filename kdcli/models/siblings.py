"""The next smaller model of the same kind."""

import re

import timm

from kdcli.models.build import build_meta, plan


def smaller_sibling(name: str) -> str | None:
    """`resnet101` -> `resnet34`: the largest that has at most half the parameters and other
    numbers in its name only; None where there is none."""
    base = name.partition(".")[0]
    alike = re.compile(re.sub(r"\d+", r"\\d+", re.escape(base)))
    sizes = {other: _parameters(other) for other in timm.list_models() if alike.fullmatch(other)}
    fitting = {other: size for other, size in sizes.items() if 2 * size <= sizes[base]}
    return max(fitting, key=lambda other: fitting[other], default=None)


def _parameters(name: str) -> int:
    model = build_meta(plan(name, 1000, 224, None))
    return sum(parameter.numel() for parameter in model.parameters())
