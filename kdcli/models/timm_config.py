"""A model as timm and the Hub keep it: written as config.json, built again from a folder."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from timm.models._hub import save_config_for_hf
from torch import nn

from kdcli.errors import UnmetNeeds
from kdcli.models.memory_format import channels_last
from kdcli.models.model_args import ModelArgs

WRITTEN_BY = f"timm {timm.__version__}"
_OF_WEIGHTS = (
    *("tag", "license", "origin_url", "paper_name", "paper_ids", "description", "notes"),
    *("label_names", "label_descriptions", "min_input_size", "test_crop_pct"),
)
"""What timm states of its own weights, which these are not."""


def refuse_unknown_to_timm(args: ModelArgs) -> None:
    """Raise UnmetNeeds for a model that timm cannot build from a config.json; several heads are
    not looked at, since they may be folded."""
    what, more = "", ""
    if args.words != args.name:
        what = f"{args.words} is a module of kd"
    elif args.stem_stride is not None:
        what = f"{args.name} with the first stride {args.stem_stride} is no model of timm"
        more = ", or distil again with --set student.stem_stride=null"
    if what:
        raise UnmetNeeds(
            f"--format timm: {what}, and config.json cannot say how it is built",
            f"--format onnx or --format torch takes every model{more}",
        )


def refuse_heads(args: ModelArgs, reason: str) -> None:
    """Raise UnmetNeeds for several heads, which are kept for that reason."""
    if args.heads > 1:
        raise UnmetNeeds(
            f"--format timm: {args.name} has {args.heads} heads that answer as one, which "
            f"config.json cannot say; they are not folded: {reason}",
            "--format onnx or --format torch keeps all heads",
        )


def write_config(
    module: nn.Module,
    args: ModelArgs,
    classes: tuple[str, ...],
    licence: str | None,
    made: Mapping[str, Any],
    path: Path,
) -> None:
    """config.json as timm writes it, with the preprocessing that kd evaluates with; `made` is noted
    under the key `kd`."""
    whole: Any = copy.copy(module)  # timm's own config stays as it is
    whole.pretrained_cfg = {k: v for k, v in whole.pretrained_cfg.items() if k not in _OF_WEIGHTS}
    size = args.input_size
    save_config_for_hf(
        whole,
        str(path),
        model_config={
            "label_names": list(classes),
            "pretrained_cfg": {"license": licence} if licence else {},
            "kd": dict(made),
        },
        data_config={
            "input_size": (3, size, size),
            "mean": args.mean,
            "std": args.std,
            "crop_pct": 1.0,
            "crop_mode": "center",
            "interpolation": "bicubic",
        },
    )


def built_by_timm(folder: Path) -> nn.Module:
    """The module that timm loads from this folder, with its weights; nothing is fetched."""
    module: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=True)
    return channels_last(module).eval()  # as kd's own: the same kernels compute
