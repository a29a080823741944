"""A folder as timm and the Hub keep a model: config.json beside a file of weights."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import timm
from pydantic import (
    BaseModel,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
)
from timm.models._hub import load_model_config_from_path, save_config_for_hf
from torch import nn

from kdcli.core.errors import DamagedFile, DataError, UnmetNeeds, UsageError
from kdcli.core.json_text import from_json
from kdcli.core.text import did_you_mean
from kdcli.models.foreign.class_names import choose, names_in
from kdcli.models.memory_format import channels_last
from kdcli.models.model_args import ModelArgs, check_options

_Positive = Annotated[FiniteFloat, Field(gt=0)]
_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")
"""What timm and the Hub call a model's file; that which cannot hold code comes first."""


class _Told(BaseModel):
    """What kd takes from config.json, of the kinds that timm writes; None: it is not said."""

    name: str
    mean: tuple[FiniteFloat, FiniteFloat, FiniteFloat] | None = None
    std: tuple[_Positive, _Positive, _Positive] | None = None
    input_size: tuple[PositiveInt, PositiveInt, PositiveInt] = (3, 224, 224)
    img_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None
    num_classes: NonNegativeInt | None = None
    license: str | None = None


@dataclass(frozen=True)
class Described:
    """What a model's folder says of it in config.json, the Hub's convention for timm; where that is
    silent of mean and deviation, as timm has them for the model's name."""

    model: str
    file: Path
    """The weights."""
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    options: dict[str, Any]
    classes: tuple[str, ...] | None
    licence: str | None


def describe(folder: Path, where: str) -> Described:
    """What config.json says of the model in this folder.

    Raises:
        DamagedFile: config.json is not what timm writes.
        UsageError: no such folder, no config.json, no weights, a model that timm does not have, or
            arguments that kd does not pass on.
        DataError: a model that is not fed square RGB images.
    """
    told, arguments = _config(folder, where)
    name = told.name
    if not timm.is_model(name):
        raise UsageError(
            f"{where}: its config.json names '{name}', no model of timm"
            f"{did_you_mean(str(name), timm.list_models())}",
            "pip install --upgrade timm, or give a model that timm wrote",
        )
    channels, height, width = _input_size(told)
    if channels != 3 or height != width:
        raise DataError(
            f"{where}: is fed {channels} x {height} x {width}; kd feeds square RGB images",
            "choose another model",
        )
    options = {k: v for k, v in arguments.items() if k not in _KNOWN and v is not None}
    check_options(options)
    fallback = timm.get_pretrained_cfg(name)
    return Described(
        model=name,
        file=_weights(folder, where),
        size=height,
        mean=told.mean or (tuple(fallback.mean) if fallback else (0.485, 0.456, 0.406)),
        std=told.std or (tuple(fallback.std) if fallback else (0.229, 0.224, 0.225)),
        options=options,
        classes=_labels(folder / "config.json", told.num_classes),
        licence=told.license,
    )


def _input_size(told: _Told) -> tuple[int, ...]:
    """Channels, height, width; a size that the model was built for is what it was trained for.

    config.json names both, and `input_size` may still be that of the weights it once began with.
    """
    channels, *sides = told.input_size
    built = told.img_size or sides
    return (channels, *((built, built) if isinstance(built, int) else built))


_KNOWN = ("num_classes", "in_chans", "img_size")
"""Arguments that the rest of config.json, or the weights themselves, say as well."""


def _config(folder: Path, where: str) -> tuple[_Told, dict[str, Any]]:
    """timm's reading of config.json, checked, and its model_args."""
    if not (folder / "config.json").is_file():
        kind = "no config.json in it" if folder.is_dir() else "no such folder"
        raise UsageError(
            f"{where}: {kind}",
            "give a folder that timm wrote (config.json and model.safetensors), or the file alone "
            "as NAME=FILE",
        )
    try:
        config, name, arguments = load_model_config_from_path(folder)
        options = dict(arguments or {})
        asked = {"name": name, "img_size": options.get("img_size")}
        return _Told.model_validate(dict(config) | asked), options
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise DamagedFile(
            f"{folder / 'config.json'}: not what timm writes ({_briefly(error)})",
            "it must be JSON with the model's name under 'architecture'; "
            "or give the file of weights alone as NAME=FILE",
        ) from error


def _briefly(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"
    first = error.errors()[0]
    return f"{first['loc'][0]}: {first['msg']}"


def names_beside(weights: Path) -> tuple[str, ...] | None:
    """What a config.json beside a file of weights calls its classes: timm's, or the Hub's."""
    return _labels(weights.with_name("config.json"), None)


def _labels(config: Path, count: int | None) -> tuple[str, ...] | None:
    """The class names in the order of the classifier, where there is one for each of `count`
    (None: of any number)."""
    try:
        raw = from_json(config.read_text("utf-8"))
    except (OSError, ValueError):  # none, or something else of that name
        return None
    chosen = choose(names_in(raw, count), None, str(config))
    return chosen[1] if chosen else None


def _weights(folder: Path, where: str) -> Path:
    """A file of a usual name, else the only one there is; among several nobody guesses."""
    found = [folder / name for name in _WEIGHTS if (folder / name).is_file()]
    others = sorted(p for end in ("safetensors", "pth", "bin") for p in folder.glob(f"*.{end}"))
    if not found and len(others) != 1:
        kind = "several files of weights" if others else "no file of weights"
        raise UsageError(
            f"{where}: {kind} beside its config.json", f"keep one, called {_WEIGHTS[0]}"
        )
    return (found or others)[0]


WRITTEN_BY = f"timm {timm.__version__}"
"""For the report: who wrote config.json."""


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
    crop_pct: float,
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
            "crop_pct": crop_pct,
            "crop_mode": "center",
            "interpolation": "bicubic",
        },
    )


def built_by_timm(folder: Path) -> nn.Module:
    """The module that timm loads from this folder, with its weights; nothing is fetched."""
    module: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=True)
    return channels_last(module).eval()  # as kd's own: the same kernels compute
