"""JSON that somebody else may have written."""

import json
from typing import Any


def from_json(text: str) -> Any:
    """Its value.

    Raises:
        ValueError: it is no JSON, or nested deeper than Python reads.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
