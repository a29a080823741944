"""`kd recipe show | schema`: what a recipe comes down to, and the format."""

from dataclasses import dataclass
from typing import Any

from kdcli.commands.distill import advise
from kdcli.core import registry
from kdcli.core.progress import Progress
from kdcli.plan.data import open_data
from kdcli.plan.defaults import auto_values
from kdcli.plan.names import model_name
from kdcli.recipe.edit import dump, fill_auto, get
from kdcli.recipe.load import LoadedRecipe, load_recipe, scheme_of
from kdcli.recipe.schema import MethodUse, Recipe
from kdcli.training.devices import open_device
from kdcli.training.terms import methods_of


@dataclass(frozen=True)
class Setting:
    """One key, its value, and where that came from."""

    key: str
    value: Any
    origin: str


def show(
    name: str,
    *,
    settings: tuple[str, ...] = (),
    data: str | None,
    student: str,
    teacher: str,
    progress: Progress,
) -> list[Setting]:
    """Every value that a run with these data and models would use."""
    loaded = load_recipe(name, settings)
    source, _ = open_data(data, progress, surveyed=False)
    advise(loaded, source, progress)
    learner, taught_by = model_name(student, progress), (model_name(teacher, progress),)
    values = auto_values(loaded.recipe, learner, taught_by, source, open_device("auto"))
    resolved = fill_auto(loaded.recipe, values)
    before, after = dump(loaded.recipe), dump(resolved)
    after["scheme"] |= scheme_of(resolved).model_dump(by_alias=True)
    for name, method in methods_of(resolved).items():  # options that came later, too
        after["methods"][name] |= method.model_dump(by_alias=True)
    return [
        Setting(key, value, _origin(key, get(before, key) != value, loaded, source.name))
        for key, value in ((key, get(after, key)) for key in _keys(after))
    ]


def schema() -> dict[str, Any]:
    """The JSON Schema of a recipe file, methods' options included."""
    raw = Recipe.model_json_schema(by_alias=True)
    definitions = raw["$defs"]
    uses = {}
    for name in registry.names("methods"):
        own = registry.load("methods", name).model_json_schema()
        definitions |= own.pop("$defs", {})
        shared = MethodUse.model_json_schema()["properties"]
        own["properties"] = {**shared, **own.get("properties", {})}
        uses[name] = {"anyOf": [{"type": "null"}, own]}
    raw["properties"]["methods"] |= {"properties": uses}
    named = [
        {"const": name, "description": registry.describe("schemes", name)}
        for name in registry.names("schemes")
    ]
    raw["properties"]["scheme"] = {"anyOf": [*named, {"$ref": "#/$defs/SchemeUse"}]}
    definitions["MethodUse"]["required"] = []
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "kd recipe"} | raw


def _origin(key: str, was_auto: bool, loaded: LoadedRecipe, data: str) -> str:
    if was_auto:
        return f"auto: data {data}" if key.startswith(("data.", "train.")) else "auto: model"
    return loaded.origin(key)


def _keys(raw: Any, path: str = "") -> list[str]:
    if not isinstance(raw, dict) or not raw:
        return [path]
    return [
        key for name, value in raw.items() for key in _keys(value, f"{path}.{name}".lstrip("."))
    ]
