"""Pretrained weights: within reach (in the local cache, or behind a connection)? whose licence?

timm alone retries an unreachable hub for most of a minute; this says so within seconds.
"""

from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import (
    constants,
    hf_hub_download,
    list_repo_files,
    try_to_load_from_cache,
)
from huggingface_hub.errors import HFValidationError

from kdcli.core.errors import UsageError, WeightsUnavailable
from kdcli.core.network import answers
from kdcli.core.text import first_line

_FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors")
"""As timm looks for them in a repository; first that which cannot hold code."""


def has_weights(name: str) -> bool:
    """Whether timm knows pretrained weights for this name."""
    config = timm.get_pretrained_cfg(name)
    return bool(config and config.has_weights)


def ensure_reachable(name: str) -> None:
    """Return if timm can load `name`'s weights now.

    Asked before a plan is made and a teacher trained. Whoever answers counts as reachable, whatever
    is answered: a proxy or a login may still stand between, which `build` then says.

    Raises:
        WeightsUnavailable: there are none, or neither cache nor network has them.
    """
    if not has_weights(name):
        raise WeightsUnavailable(
            f"timm has no pretrained weights for {name}", f"choose another model, {ways_out()}"
        )
    if not is_cached(name) and not answers(_address(name)):
        raise WeightsUnavailable(
            f"pretrained weights of {name}: not in the cache ({_cache(name)}), and "
            f"{_address(name)} does not answer",
            f"connect once, or copy that cache from another machine, {ways_out()}",
        )


def ways_out() -> str:
    """How to go on without the Hub, as the end of a sentence."""
    return (
        "or give a file of your own (--teacher NAME=FILE, --student NAME=FILE), or start from "
        "random weights (--set teacher.pretrained=false of a teacher that kd trains, --set "
        "student.pretrained=false of a student; kd train takes either)"
    )


def is_cached(name: str) -> bool:
    """Whether the weights lie on this machine already."""
    return cached_file(name) is not None


def cached_file(name: str) -> Path | None:
    """The weights on this machine, where timm would look for them; None: still to be fetched."""
    config = _config(name)
    if config.hf_hub_id:
        names = (config.hf_hub_filename,) if config.hf_hub_filename else _FILES
        repository, revision = split_revision(config.hf_hub_id)
        return next(filter(None, (in_cache(repository, file, revision) for file in names)), None)
    path = Path(config.file or _checkpoints() / Path(config.url or "").name)
    return path if path.is_file() else None


def from_cache(name: str) -> dict[str, Any]:
    """What makes timm take the weights from here; else it asks the Hub first, and waits for it.

    Empty where they are still to be fetched. An overlay of `pretrained_cfg`, in which `file` goes
    before the Hub; timm then takes the file for a plain state dict unless `custom_load` is said
    again (.npz files that some ViTs and ResNetV2s were published as).
    """
    if (file := cached_file(name)) is None:
        return {}
    return {"file": str(file), "custom_load": _config(name).custom_load}


def in_cache(repository: str, file: str, revision: str | None = None) -> Path | None:
    """A file of a Hub repository that was fetched before."""
    found = try_to_load_from_cache(repository, file, revision=revision)
    return Path(found) if isinstance(found, str) else None


def split_revision(repository: str) -> tuple[str, str | None]:
    """`org/name@revision`, as timm spells it."""
    name, _, revision = repository.partition("@")
    return name, revision or None


def fetch(repository: str) -> Path:
    """The folder of a Hub repository (`org/name[@revision]`): config.json and a file of weights.

    What was fetched before is taken as it is, without asking anybody: a name without a revision may
    then mean an older one. Only these two files are fetched; no code of a repository is.

    Raises:
        UsageError: no name that a repository can have.
        WeightsUnavailable: neither cache nor network has them.
    """
    name, revision = split_revision(repository)
    try:
        files = {file: in_cache(name, file, revision) for file in ("config.json", *_FILES)}
    except HFValidationError as error:
        raise UsageError(
            f"hf-hub:{repository}: no name of a repository", "as in hf-hub:ORGANISATION/NAME"
        ) from error
    config, *weights = files.values()
    if config and any(weights):
        return config.parent
    if not answers(constants.ENDPOINT):
        raise WeightsUnavailable(
            f"hf-hub:{repository}: not in the cache ({constants.HF_HUB_CACHE}), and "
            f"{constants.ENDPOINT} does not answer",
            f"connect once, {_BY_HAND}",
        )
    try:
        config = Path(hf_hub_download(name, "config.json", revision=revision))
        there = {item for item in list_repo_files(name, revision=revision) if item in _FILES}
        weights_name = next(file for file in _FILES if file in there)
        hf_hub_download(name, weights_name, revision=revision)
    except Exception as error:  # the hub, its client and the network each fail in their own ways
        first = first_line(error, otherwise="no model.safetensors or pytorch_model.bin")
        raise WeightsUnavailable(
            f"hf-hub:{repository}: cannot be fetched ({first})", f"check the name, {_BY_HAND}"
        ) from error
    return config.parent


_BY_HAND = (
    "or copy the repository's config.json and weights into a folder and give local-dir:FOLDER, "
    "or give the file alone as NAME=FILE"
)


def _cache(name: str) -> str:
    return str(constants.HF_HUB_CACHE if _config(name).hf_hub_id else _checkpoints())


def _checkpoints() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _address(name: str) -> str:
    config = _config(name)
    return constants.ENDPOINT if config.hf_hub_id else str(config.url)


def _config(name: str) -> Any:
    return timm.get_pretrained_cfg(name)
