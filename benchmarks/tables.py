"""What every benchmark prints: a table for people, or with --json the same figures.

One document, `{"benchmark": "step", "machine": {...}, "figures": ...}`, alone on stdout; what is
said meanwhile is then on stderr.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def add_json(parser: argparse.ArgumentParser) -> None:
    """The flag."""
    parser.add_argument("--json", action="store_true", help="Figures as JSON, in place of a table.")


def say(asked: argparse.Namespace, words: str, end: str = "\n") -> None:
    """How it goes."""
    print(words, end=end, file=sys.stderr if asked.json else sys.stdout, flush=True)


def show(asked: argparse.Namespace, figures: Any, table: Iterable[str]) -> None:
    """What came of it: in seconds, bytes, shares; numpy's numbers are taken for Python's."""
    if not asked.json:
        for line in table:
            print(line)
        return
    found = {"benchmark": Path(sys.argv[0]).stem, "machine": machine(), "figures": figures}
    print(json.dumps(found, indent=1, default=lambda number: number.item()))


def machine() -> dict[str, Any]:
    """On which the figures hold."""
    import timm
    import torch

    cuda = torch.cuda.is_available()
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "torch": torch.__version__,
        "timm": timm.__version__,
    }
