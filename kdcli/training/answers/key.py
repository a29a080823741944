"""What an answer depends on: who looks it up under this key finds no other."""

import hashlib
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import torch

from kdcli.core import registry
from kdcli.data.source import Split
from kdcli.recipe.edit import stored_crop_pct, stored_size
from kdcli.recipe.schema import Recipe
from kdcli.runs.spec import RULES, Spec
from kdcli.training.site import Site


def key_of(spec: Spec, site: Site, split: Split) -> dict[str, Any]:
    """All that an answer depends on, but for who answers."""
    recipe = spec.recipe
    return {
        "images": fingerprint(split),
        "rules": RULES,
        "decoding": site.source.decoding.as_dict(),
        "image_size": [recipe.data.image_size, stored_size(recipe), stored_crop_pct(recipe)],
        "augment": recipe.data.augment,
        "randaugment": recipe.data.randaugment,
        "mixup": recipe.train.mixup,
        "cutmix": recipe.train.cutmix,
        "partners": recipe.train.balance == "sampler",  # by class, then
        "precision": recipe.teacher.precision,
        "keep": recipe.teacher.keep,
        "embedding": needs_embedding(recipe),
        "device": _kind(site.device),
        # of what makes pixels and does the arithmetic
        "versions": {name: version(name) for name in ("torch", "timm", "pillow", "numpy")},
    }


@lru_cache(maxsize=4)  # by identity: seeds of one command have the same images
def fingerprint(split: Split) -> str:
    """Of the very images in their order, by label, name and content; a sha256."""
    found = hashlib.sha256(split.labels.tobytes())
    found.update(split.read.sums.tobytes())
    found.update("\0".join(split.ids).encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def _kind(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def needs_embedding(recipe: Recipe) -> bool:
    """Whether one of its methods reads a teacher's embedding."""
    used = (registry.load("methods", use.use or name) for name, use in recipe.methods.items())
    return any("embedding" in method.needs for method in used)
