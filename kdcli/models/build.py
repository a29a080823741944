"""A name becomes a module: timm's registry, families, sizes, stems and pretrained weights."""

import logging
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import timm
import torch
from torch import nn

from kdcli.core.errors import DataError, UsageError, WeightsUnavailable
from kdcli.core.text import did_you_mean
from kdcli.models.copies import Copies
from kdcli.models.early_exits import EarlyExit, ExitHead
from kdcli.models.families import FAMILIES, TORCHVISION
from kdcli.models.fusion import Fused, FusionBlock
from kdcli.models.memory_format import channels_last
from kdcli.models.model_args import ModelArgs
from kdcli.models.stem import set_stem_stride
from kdcli.models.weights import from_cache, ways_out

logging.getLogger("timm").setLevel(logging.ERROR)  # it narrates every weight it loads


@dataclass(frozen=True)
class Resolved:
    """A model name as timm knows it; `said` where a family had to be narrowed down."""

    name: str
    said: str = ""


def resolve(name: str) -> Resolved:
    """A timm name stays; a family name becomes its smallest standard variant, aloud.

    Raises:
        UsageError: neither is known.
    """
    if timm.is_model(name):
        return Resolved(_known_tag(name))
    if name in FAMILIES:
        chosen = FAMILIES[name]
        others = [m for m in timm.list_models(f"{name}*") if m != chosen][:4]
        also = f"; also {', '.join(others)}, ..." if others else ""
        return Resolved(chosen, f"{name} -> {chosen}{also}")
    if name in TORCHVISION:
        raise UsageError(
            f"'{name}' is torchvision's name, and models here are timm's",
            f"the same architecture: {TORCHVISION[name]}",
        )
    if name.count("/") == 1 and all(name.split("/")):
        own = name.removeprefix("timm/")
        also = f", or its model's name: {own}" if own != name else ""
        raise UsageError(
            f"'{name}' is no model of timm, but looks like a repository of the Hub",
            f"give hf-hub:{name}{also}",
        )
    known = [*FAMILIES, *timm.list_models()]
    # two letters are the beginning of too many to be one
    longer = [m for m in known if m.startswith(name)] if len(name) > 2 else []
    if longer:
        raise UsageError(f"'{name}' is no model of timm", f"name one: {', '.join(longer[:6])}, ...")
    raise UsageError(
        f"unknown model '{name}'{did_you_mean(name, known)}",
        "any timm name or family works, as in --student mobilenetv3; "
        'all names: python -c "import timm; print(timm.list_models())"',
    )


def _known_tag(name: str) -> str:
    """The name, if the part behind its dot names weights that timm knows.

    `timm.is_model` looks at what stands before the dot; timm itself objects when it builds.
    """
    base, dot, tag = name.partition(".")
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{base}.*")]
    if dot and tag not in tags:
        raise UsageError(
            f"{base} has no weights called '{tag}'{did_you_mean(tag, tags)}",
            f"it has {', '.join(tags) or 'none'}",
        )
    return name


def model_names() -> list[str]:
    """Every architecture of timm, without the tags of its weights; some 1,400."""
    names: list[str] = timm.list_models()
    return names


def plan(
    name: str,
    num_classes: int,
    image_size: int,
    stem_stride: int | None,
    options: Mapping[str, Any] | None = None,
) -> ModelArgs:
    """How `name` is built for images of this size, found by trying it without weights.

    A model that does not take the size is built with `img_size=`, else keeps its own size, and its
    tap resizes the images to that.

    Raises:
        DataError: it takes images of no size that we know of.
        UsageError: `stem_stride` is given, and its first layer has none that could be changed.
    """
    config, own = timm.get_pretrained_cfg(name), own_size(name)
    args = ModelArgs(
        name, num_classes, image_size, stem_stride=stem_stride, options=dict(options or {})
    )
    if config and len(config.mean) == 3:
        args = replace(args, mean=tuple(config.mean), std=tuple(config.std))
    fixed = bool(config and config.fixed_input_size)
    # of models made for one size some run at others all the same (crossvit, mvitv2): `img_size=`
    # comes first there, and last where a model takes any size, for most of those do not know it
    built_for_it = replace(args, img_size=image_size)
    candidates = [built_for_it, args] if fixed else [args, built_for_it]
    for candidate in [*candidates, replace(args, input_size=own)]:
        if _takes(candidate):
            return candidate
    raise DataError(
        f"{name} takes neither {image_size} nor {own} pixels",
        "choose another model, or another size with --set data.image_size=224",
    )


def own_size(name: str) -> int:
    """Pixels of a side that timm's weights of this name were trained for; 224 where it has none."""
    config = timm.get_pretrained_cfg(name)
    return int(config.input_size[-1]) if config else 224


def own_crop_pct(name: str, size: int) -> float:
    """Share of the shorter side that timm tests this name's weights on, at `size` pixels."""
    config = timm.get_pretrained_cfg(name) or timm.models.PretrainedCfg()
    at_test_size = config.test_input_size and size == config.test_input_size[-1]
    return float((at_test_size and config.test_crop_pct) or config.crop_pct)


def _takes(args: ModelArgs) -> bool:
    """Whether a forward pass works, on the meta device: shapes only, no arithmetic.

    The answer's shape is looked at, too: a model may take a size and give something else.
    """
    try:
        model = build_meta(args).eval()
        with torch.no_grad():
            size = args.input_size
            logits = model(torch.empty(1, 3, size, size, device="meta"))
        return tuple(logits.shape) == (1, args.heads * args.num_classes)
    except UsageError:  # of the stem: another size would not mend it
        raise
    except Exception:  # timm's models refuse a size in many ways
        return False


def build(args: ModelArgs, pretrained: bool = False) -> nn.Module:
    """The module itself; with `pretrained`, timm's weights and, for other classes, a fresh head.

    Random weights come from the shared generator: build inside `seeded`. Several heads come last,
    so that the trunk's are those of the model with one head. Weights must be known to be within
    reach: see `weights.ensure_reachable`.

    Raises:
        WeightsUnavailable: they cannot be fetched or read after all; random ones never replace
            them.
    """
    if args.exit is not None:
        stage, last = args.maps  # ModelArgs has refused any other number
        head = ExitHead(stage, last, args.num_classes)
        return EarlyExit(build(args.single, pretrained), head, args.exit)
    if args.copies > 1:
        return Copies((build(args.single, pretrained) for _ in range(args.copies)), args.panel)
    if args.peers:
        networks = [build(one, pretrained) for one in args.networks]
        return Fused(networks, FusionBlock(args.maps, args.num_classes), args.normalisations)
    options: dict[str, Any] = dict(args.options)
    if args.img_size:
        options["img_size"] = args.img_size
    if pretrained and (overlay := from_cache(args.name)):
        options["pretrained_cfg_overlay"] = overlay
    try:
        model: nn.Module = timm.create_model(
            args.name, pretrained=pretrained, num_classes=args.num_classes, **options
        )
    except Exception as error:
        if not pretrained:
            raise
        raise WeightsUnavailable(  # the hub, the file and timm each fail in ways of their own
            f"pretrained weights of {args.name} cannot be loaded: {error}",
            f"try again, remove the damaged file from the cache, {ways_out()}",
        ) from error
    if args.stem_stride:  # behind the weights: a stride changes no shape, so any weights fit
        set_stem_stride(model, args.stem_stride)
    if args.heads > 1:
        _give_outputs(model, args.heads * args.num_classes)
    return channels_last(model)


def _give_outputs(model: Any, outputs: int) -> None:
    """Another width for the last layer.

    RepViT's `reset_classifier` has `distillation=False` as its default: not told, it would lose its
    second head, and with it keys of its state dict.
    """
    told = (
        {"distillation": True}
        if getattr(getattr(model, "head", None), "distillation", False)
        else {}
    )
    model.reset_classifier(outputs, **told)


@contextmanager
def seeded(seed: int, role: str) -> Iterator[None]:
    """Whatever is built inside starts from the same weights, whatever was built before it.

    Roles keep apart what is built under one seed (`student`, `teacher`, `peer.1`, ...). They are
    part of what makes a run: another name, other weights. crc32 and not hash(), which differs from
    process to process; the shared generators, GPUs' too, are put back behind it.
    """
    with torch.random.fork_rng():
        torch.manual_seed(zlib.crc32(f"{seed}/{role}".encode()))
        yield


def build_meta(args: ModelArgs) -> nn.Module:
    """The module without storage: for shapes, parameters and MACs."""
    with torch.device("meta"):
        return build(args)
