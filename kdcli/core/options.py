"""How every recipe key, method and scheme is declared, and which of them a run's digest holds."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, field_validator
from pydantic_core import PydanticCustomError

LARGEST = 1e12
"""Of any number in a recipe."""


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

    @field_validator("*")
    @classmethod
    def _within_bounds(cls, value: Any) -> Any:
        """Above, squares and sums leave the range of float32."""
        if isinstance(value, float) and abs(value) > LARGEST:
            raise PydanticCustomError("less_than_equal", "", {"le": LARGEST})
        return value

    shorthand: ClassVar[str] = ""
    """The field that a bare text stands for (`pool: mixup`), where that is enough."""


class Mark(Enum):
    """What a key means for the digest of runs: `hue: Annotated[float, LATER] = 0.0`.

    A key without a mark is in the digest whatever its value: all that there were when digests
    began. A further one has a mark, or orphans every run that was made before.
    """

    LATER = "later"
    NO_WEIGHT = "no weight"


LATER = Mark.LATER
"""It came later; its default means "as before", and never changes (a better value is a recipe's
business). Only another value is in the digest."""
NO_WEIGHT = Mark.NO_WEIGHT
"""It changes no weight, and is in no digest."""


@dataclass(frozen=True)
class Later:
    """LATER, where the default is `auto`: what it was resolved to before there was the key.

    `crop_pct: Annotated[float | Auto, Later(1.0)] = "auto"`: neither 1.0 is in the digest, nor
    `auto`, which only a run from before the key still has.
    """

    before: Any


def left_out(value: Any, *marks: Mark) -> dict[Any, Any]:
    """Which keys of a record these marks leave out, at any depth, as pydantic's `exclude`."""
    found: dict[Any, Any] = {}
    if isinstance(value, BaseModel):
        found = {name: _of_field(value, name, marks) for name in type(value).model_fields}
    elif isinstance(value, dict):
        found = {key: left_out(one, *marks) for key, one in value.items()}
    elif isinstance(value, tuple | list):
        found = {i: left_out(one, *marks) for i, one in enumerate(value)}
    return {key: kept_back for key, kept_back in found.items() if kept_back}


def _of_field(record: BaseModel, name: str, marks: tuple[Mark, ...]) -> Any:
    """True: all of it."""
    field, value = type(record).model_fields[name], getattr(record, name)
    marked = [mark for mark in field.metadata if mark in marks]
    before = [one.before for one in field.metadata if isinstance(one, Later) and LATER in marks]
    as_before = value in (field.get_default(call_default_factory=True), *before)
    if NO_WEIGHT in marked or (as_before and (before or LATER in marked)):
        return True
    return left_out(value, *marks)
