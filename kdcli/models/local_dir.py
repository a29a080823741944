"""A folder as timm and the Hub keep a model: config.json beside a file of weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
from timm.models._hub import load_model_config_from_path

from kdcli.errors import DamagedFile, DataError, UsageError, did_you_mean
from kdcli.models.model_args import check_options

_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")


@dataclass(frozen=True)
class Described:
    """What a model's folder says of it in config.json, the Hub's convention for timm."""

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
        UsageError: no such folder, no config.json, no weights, or a model that timm does not have.
        DataError: a model that is not fed square RGB images.
    """
    config, name, arguments = _config(folder, where)
    if not timm.is_model(name):
        raise UsageError(
            f"{where}: its config.json names '{name}', no model of timm"
            f"{did_you_mean(str(name), timm.list_models())}",
            "pip install --upgrade timm, or give a model that timm wrote",
        )
    channels, height, width = _input_size(config, arguments)
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
        mean=tuple(config.get("mean", fallback.mean if fallback else (0.485, 0.456, 0.406))),
        std=tuple(config.get("std", fallback.std if fallback else (0.229, 0.224, 0.225))),
        options=options,
        classes=_labels(config),
        licence=config.get("license"),
    )


def _input_size(config: Mapping[str, Any], arguments: Mapping[str, Any]) -> tuple[int, ...]:
    """Channels, height, width; a size that the model was built for is what it was trained for."""
    channels, *sides = config.get("input_size", (3, 224, 224))
    built = arguments.get("img_size") or sides
    return (channels, *((built, built) if isinstance(built, int) else built))


_KNOWN = ("num_classes", "in_chans", "img_size")
"""Arguments that the rest of config.json, or the weights themselves, say as well."""


def _config(folder: Path, where: str) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """timm's reading of config.json: pretrained_cfg, architecture, model_args."""
    if not (folder / "config.json").is_file():
        kind = "no config.json in it" if folder.is_dir() else "no such folder"
        raise UsageError(
            f"{where}: {kind}",
            "give a folder that timm wrote (config.json and model.safetensors), or the file alone "
            "as NAME=FILE",
        )
    try:
        config, name, arguments = load_model_config_from_path(folder)
        return dict(config), name, dict(arguments or {})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(
            f"{folder / 'config.json'}: not what timm writes ({type(error).__name__}: {error})",
            "it must be JSON with the model's name under 'architecture'; "
            "or give the file of weights alone as NAME=FILE",
        ) from error


def _labels(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The class names in the order of the classifier, where there is one for each class."""
    names = config.get("label_names")
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
        return None
    return tuple(names) if len(set(names)) == config.get("num_classes") else None


def _weights(folder: Path, where: str) -> Path:
    found = [folder / name for name in _WEIGHTS if (folder / name).is_file()]
    others = sorted(p for end in ("safetensors", "pth", "bin") for p in folder.glob(f"*.{end}"))
    if not found and len(others) != 1:
        kind = "several files of weights" if others else "no file of weights"
        raise UsageError(
            f"{where}: {kind} beside its config.json", f"keep one, called {_WEIGHTS[0]}"
        )
    return (found or others)[0]
