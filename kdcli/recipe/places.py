"""What may stand at a dotted key of a recipe, by the schema."""

from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kdcli.core.options import Options
from kdcli.recipe.schema import Recipe


def models_at(path: str) -> list[type[BaseModel]]:
    """The models that may stand there; none where no mapping of the schema's may. Places in a list
    are numbers: `who.teachers.0`."""
    models: list[type[BaseModel]] = [Recipe]
    for key in path.split(".") if path else ():
        if key.isdecimal():
            continue
        fields = [field for model in models for field in _fields(model).items()]
        models = [m for name, info in fields if name == key for m in _models_in(info.annotation)]
    return models


def keys_at(path: str) -> tuple[str, ...]:
    """The keys of a mapping there."""
    return tuple(name for model in models_at(path) for name in _fields(model))


def shorthand_at(path: str) -> str:
    """The key that a bare text there stands for (`data.pool`: `by`); "" where for none."""
    found = (m.shorthand for m in models_at(path) if issubclass(m, Options))
    return next(filter(None, found), "")


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {info.alias or name: info for name, info in model.model_fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field may hold, through unions and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
