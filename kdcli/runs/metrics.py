"""metrics.jsonl: a line for each epoch, and one for the end."""

import json
from pathlib import Path
from typing import Any

NUMBERS = ("epoch", "epochs", "best_epoch", "seconds", "train_accuracy", "val_accuracy")
"""Of a line of metrics.jsonl."""
LARGEST = 1e15


def lines_of(file: Path) -> list[dict[str, Any]]:
    """Up to a line that is torn (lines are appended: the last of a killed kd) or damaged."""
    if not file.is_file():
        return []
    found = []
    for line in file.read_text("utf-8", "replace").splitlines():
        try:
            found.append(_checked(json.loads(line)))
        except (ValueError, RecursionError):
            break
    return found


def _checked(line: Any) -> dict[str, Any]:
    """A line of metrics.jsonl; raises ValueError where one of its `NUMBERS` is none."""
    if not isinstance(line, dict):
        raise ValueError("no line of a log")
    numbers = [line[key] for key in NUMBERS if key in line]
    if not all(type(one) in (int, float) and abs(one) < LARGEST for one in numbers):
        raise ValueError("no numbers")
    return dict(line)
