"""Pretrained weights within reach: in the local cache, or behind a connection that answers.

timm alone retries an unreachable hub for most of a minute; this says so within seconds.
"""

import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import constants, try_to_load_from_cache

from kdcli.errors import WeightsUnavailable

PROBE_SECONDS = 5.0
_FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors")


def has_weights(name: str) -> bool:
    """Whether timm knows pretrained weights for this name."""
    config = timm.get_pretrained_cfg(name)
    return bool(config and config.has_weights)


def ensure_reachable(name: str) -> None:
    """Return if timm can load `name`'s weights now.

    Raises:
        WeightsUnavailable: there are none, or neither cache nor network has them.
    """
    if not has_weights(name):
        raise WeightsUnavailable(
            f"timm has no pretrained weights for {name}",
            "go on from random weights with --set student.pretrained=false "
            "(or teacher.pretrained=false)",
        )
    if not is_cached(name) and not _answers(_address(name)):
        raise WeightsUnavailable(
            f"pretrained weights of {name}: not in the cache ({constants.HF_HUB_CACHE}), and "
            f"{_address(name)} does not answer",
            "connect once, or copy the cache here (HF_HUB_CACHE), or start from random weights "
            "with --set student.pretrained=false (or teacher.pretrained=false)",
        )


def is_cached(name: str) -> bool:
    """Whether the weights lie on this machine already."""
    config = _config(name)
    if config.hf_hub_id:
        repository = config.hf_hub_id
        names = (config.hf_hub_filename,) if config.hf_hub_filename else _FILES
        found = (try_to_load_from_cache(repository, file) for file in names)
        return any(isinstance(f, str) for f in found)
    if config.file:
        return Path(config.file).is_file()
    checkpoints = Path(torch.hub.get_dir()) / "checkpoints"
    return bool(config.url) and (checkpoints / Path(config.url).name).is_file()


def _address(name: str) -> str:
    config = _config(name)
    return constants.ENDPOINT if config.hf_hub_id else str(config.url)


def _config(name: str) -> Any:
    return timm.get_pretrained_cfg(name)


def _answers(address: str) -> bool:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return False
    request = urllib.request.Request(address, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError:
        return True  # it answered, if only to refuse this address
    except (OSError, ValueError):
        return False
    return True
