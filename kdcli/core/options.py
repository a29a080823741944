"""How every recipe key, method and scheme is declared."""

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Frozen and strict: an unknown key, a string for a number, NaN and infinity are refused.

    The docstring under a field is its description in the JSON Schema and in `kd list`.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
    )
