"""metrics.jsonl: a line per epoch and one at the end, as text and back."""

import json
from pathlib import Path
from typing import Any

from kdcli.core.file_format import METRICS
from kdcli.core.json_text import from_json

AGAIN = "repeat the command that made the run with --again"
NUMBERS = ("epoch", "epochs", "best_epoch", "seconds", "train_accuracy", "val_accuracy")
"""Of a line."""
LARGEST = 1e15


def read_lines(file: Path) -> list[dict[str, Any]]:
    """All up to one that is torn or damaged; none where there is no file.

    Raises:
        DamagedFile: a newer kd has written one.
    """
    if not file.is_file():
        return []
    found = []
    for line in file.read_text("utf-8", "replace").splitlines():
        try:
            known = _checked(from_json(line))
        except ValueError:
            break
        METRICS.refuse_others(file, known.pop(METRICS.key, None), AGAIN)
        found.append(known)
    return found


def as_line(known: dict[str, Any]) -> str:
    """A line, as it is written."""
    return json.dumps({**METRICS.numbered, **known}) + "\n"


def _checked(line: Any) -> dict[str, Any]:
    """Raises ValueError where one of its `NUMBERS` is none."""
    if not isinstance(line, dict):
        raise ValueError("no line of a log")
    numbers = [line[key] for key in NUMBERS if key in line]
    if not all(type(one) in (int, float) and abs(one) < LARGEST for one in numbers):
        raise ValueError("no numbers")
    return dict(line)
