"""What timm states about a model's name, without building it or fetching anything."""

import re
from dataclasses import dataclass
from typing import Any

import timm

from kdcli.models.build import build_meta, plan
from kdcli.models.licences import licence_of, licence_warning
from kdcli.models.weights import is_cached


@dataclass(frozen=True)
class Tag:
    """One file of pretrained weights of an architecture."""

    name: str
    """As in `resnet101.tv2_in1k`: what stands behind the dot."""
    licence: str | None
    licence_warning: str | None


@dataclass(frozen=True)
class Weights:
    """The weights that `pretrained` stands for."""

    tag: str
    hub: str | None
    """Its repository on the Hugging Face Hub."""
    url: str | None
    origin: str | None
    """Where they were published first."""
    paper: str | None
    licence: str | None
    licence_warning: str | None
    cached: bool
    """They lie on this machine already."""
    classes: int
    """1000 are ImageNet-1k's; 0: a trunk without a classifier."""


@dataclass(frozen=True)
class Card:
    """A model by its name."""

    name: str
    family: str
    """The module of timm that defines it."""
    input_size: int
    """Pixels of a side that its weights were made for."""
    fixed_input_size: bool
    interpolation: str
    """In timm's own tests; kd resizes bicubically, whatever stands here."""
    crop_share: float
    """Of the resized image, that is shown in timm's own tests (`data.crop_pct`)."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights: Weights | None
    """None: timm has none."""
    others: tuple[Tag, ...]
    """Further weights of the same architecture."""


def card(name: str) -> Card:
    """What timm knows of a name that it knows (see `build.resolve`)."""
    config = _config(name)
    base = name.partition(".")[0]
    return Card(
        name=name,
        family=timm.model_entrypoint(base).__module__.rpartition(".")[2],
        input_size=int(config.input_size[-1]),
        fixed_input_size=bool(config.fixed_input_size),
        interpolation=config.interpolation,
        crop_share=float(config.crop_pct),
        mean=tuple(config.mean),
        std=tuple(config.std),
        weights=_weights(name, config) if config.has_weights else None,
        others=tuple(_other_tags(base, config.tag)),
    )


def _config(name: str) -> Any:
    """timm's, with its defaults for the few architectures that have none."""
    return timm.get_pretrained_cfg(name) or timm.models.PretrainedCfg()


def _weights(name: str, config: Any) -> Weights:
    papers = config.paper_ids
    return Weights(
        tag=config.tag or "",
        hub=config.hf_hub_id or None,
        url=str(config.url) if config.url else None,
        origin=config.origin_url or None,
        paper=(papers if isinstance(papers, str) else ", ".join(papers or ())) or None,
        licence=licence_of(name),
        licence_warning=licence_warning(name),
        cached=is_cached(name),
        classes=int(config.num_classes),
    )


def _other_tags(base: str, tag: str | None) -> list[Tag]:
    known = (full.partition(".")[2] for full in timm.list_pretrained(f"{base}.*"))
    return [
        Tag(other, licence_of(f"{base}.{other}"), licence_warning(f"{base}.{other}"))
        for other in known
        if other and other != tag
    ]


def smaller_sibling(name: str) -> str | None:
    """`resnet101` -> `resnet34`: the largest that has at most half the parameters and other
    numbers in its name only; None where there is none.

    Half, so that it is worth naming as a way to a shorter training (`plan/shortcuts.py`). Every
    candidate is built on the meta device: no weights, no storage.
    """
    base = name.partition(".")[0]
    alike = re.compile(re.sub(r"\d+", r"\\d+", re.escape(base)))
    sizes = {other: _parameters(other) for other in timm.list_models() if alike.fullmatch(other)}
    fitting = {other: size for other, size in sizes.items() if 2 * size <= sizes[base]}
    return max(fitting, key=lambda other: fitting[other], default=None)


def _parameters(name: str) -> int:
    model = build_meta(plan(name, 1000, 224, None))
    return sum(parameter.numel() for parameter in model.parameters())
