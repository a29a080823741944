"""How every recipe key, method and scheme is declared: frozen, strict."""

from __future__ import annotations

from pydantic import ConfigDict

OPTIONS = ConfigDict(
    frozen=True,
    extra="forbid",
    strict=True,
    allow_inf_nan=False,
    use_attribute_docstrings=True,
    validate_default=True,
)
