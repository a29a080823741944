"""The folder that timm loads and the Hub takes: its name, its files, and whose it is."""

import json
from pathlib import Path

TIMM = "timm"
"""In a run's folder; `timm.peer_1` of another model than the one that ships."""

OF_TIMM = ("config.json", "model.safetensors", "README.md")
"""All that kd writes there."""


def is_kds(folder: Path) -> bool:
    """Whether kd wrote it: its config.json says so."""
    try:
        return "kd" in json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError, TypeError):
        return False
