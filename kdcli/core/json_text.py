"""JSON that somebody else may have written, and JSON that anybody may be shown."""

import json
from typing import Any

from kdcli.core.text import UNSEEN

_OBEYED = {code: f"\\u{code:04x}" for code in UNSEEN}


def to_json(value: Any, ascii_only: bool = False) -> str:
    """On several lines; raises ValueError where a number is NaN or infinite."""
    text = json.dumps(value, indent=2, ensure_ascii=ascii_only, allow_nan=False)
    return text.translate(_OBEYED)


def from_json(text: str) -> Any:
    """Its value.

    Raises:
        ValueError: it is no JSON, or nested deeper than Python reads.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
