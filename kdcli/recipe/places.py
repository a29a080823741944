"""What may stand at a dotted key of a recipe, by the schema."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kdcli.core.options import Options
from kdcli.recipe.schema import Recipe


def keys() -> list[str]:
    """Every key of the format in full (`train.lr`), sections too; methods' own are not in it."""
    return list(_keys(Recipe, ""))


def models_at(path: str) -> list[type[BaseModel]]:
    """The models that may stand there; none where no mapping of the schema's may. Places in a list
    are numbers: `who.teachers.0`."""
    models: list[type[BaseModel]] = [Recipe]
    for key in path.split(".") if path else ():
        if not key.isdecimal():
            models = [m for field in _named(key, models) for m in models_in(field.annotation)]
    return models


def field_at(path: str) -> FieldInfo | None:
    """The schema's field there; None where the schema knows none, as of methods' own options."""
    section, _, key = path.rpartition(".")
    return next(iter(_named(key, models_at(section))), None)


def keys_at(path: str) -> tuple[str, ...]:
    """The keys of a mapping there."""
    return tuple(name for model in models_at(path) for name in fields_of(model))


def shorthand_at(path: str) -> str:
    """The key that a bare text there stands for (`data.pool`: `by`); "" where for none."""
    found = (m.shorthand for m in models_at(path) if issubclass(m, Options))
    return next(filter(None, found), "")


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """By the names that a recipe has for them: `from`, not `from_`."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field may hold, through unions and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def may_be_null(annotation: Any) -> bool:
    """Whether null is among what it takes."""
    return annotation is type(None) or any(map(may_be_null, get_args(annotation)))


def _named(key: str, models: list[type[BaseModel]]) -> list[FieldInfo]:
    return [fields_of(model)[key] for model in models if key in fields_of(model)]


def _keys(model: type[BaseModel], path: str) -> Iterator[str]:
    for name, info in fields_of(model).items():
        here = f"{path}.{name}".lstrip(".")
        yield here
        for inner in models_in(info.annotation) if name != "methods" else ():
            # a ramp's keys (from, to, over) say nothing without the weight that they belong to
            yield from () if name == "weight" else _keys(inner, here)
