"""Numbers measured on this machine, kept in one JSON file; losing it costs time, nothing else."""

import json
from pathlib import Path
from typing import Any

from kdcli.core.files import write_text
from kdcli.core.json_text import from_json

SCHEMA = 1
"""Of the file. One of another number, by an older kd or a newer, counts as empty."""


class Cache:
    """A mapping from what was measured, under which circumstances, to numbers.

    A key is the texts that decide the numbers. A damaged file counts as empty and is written anew.

    Versions and processor belong into the key (`plan/students.py`): then an entry stays true, and
    nobody has to find out which ones to drop.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = _read(path)
        self._new: dict[str, dict[str, Any]] = {}

    def get(self, *key: object) -> dict[str, Any] | None:
        """What was put under this key; None where nothing was."""
        return self._known.get(_text(key))

    def put(self, *key: object, value: dict[str, Any]) -> None:
        """Remember; on disk only after `save`."""
        self._known[_text(key)] = self._new[_text(key)] = value

    def save(self) -> None:
        """Write the file, whole or not at all; what another kd has written meanwhile stays.

        There is no lock: of two that save in the same instant one may lose its entries, which are
        then measured again. Nothing new, and no file is written or touched.

        Raises:
            DiskError: it cannot be written.
        """
        if not self._new:
            return
        entries = _read(self.path) | self._new
        content = {"kd": SCHEMA, "entries": entries}
        write_text(self.path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))
        self._new = {}


def _text(key: tuple[object, ...]) -> str:
    return " | ".join(map(str, key))


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = from_json(path.read_text("utf-8"))
        if content["kd"] != SCHEMA:
            return {}
        return {str(k): dict(v) for k, v in content["entries"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}  # not there, no JSON, no UTF-8, or JSON of another shape
