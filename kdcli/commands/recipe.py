"""`kd recipe show | check | schema`: what a recipe comes down to, if anything, and the format."""

import json
import shlex
from dataclasses import dataclass, replace
from typing import Any

from kdcli.commands.distill import advise
from kdcli.core import registry
from kdcli.core.errors import RecipeError, UsageError
from kdcli.core.examples import STUDENT, TEACHER
from kdcli.core.progress import Progress
from kdcli.models.given import is_given
from kdcli.plan.ask import Ask
from kdcli.plan.data import open_data
from kdcli.plan.defaults import auto_values
from kdcli.plan.job import SAME, refuse_taught
from kdcli.plan.names import architecture, is_file, started, starting_point
from kdcli.recipe.conflicts import refuse_in_recipe
from kdcli.recipe.edit import dump, fill_auto, get
from kdcli.recipe.load import LoadedRecipe, load_recipe, refuse_idle, scheme_of
from kdcli.recipe.schema import MethodUse, Recipe
from kdcli.recipe.who import Who
from kdcli.training.devices import open_device
from kdcli.training.terms import methods_of


@dataclass(frozen=True)
class Setting:
    """One key, its value, and where that came from."""

    key: str
    value: Any
    origin: str


@dataclass(frozen=True)
class Shown:
    """What a recipe comes down to."""

    settings: list[Setting]
    command: str
    """It would use them."""
    teachers: list[str]
    """Commands that show the settings of the teachers that it would train first."""


def check(name: str, settings: tuple[str, ...]) -> LoadedRecipe:
    """The recipe, of which nothing is wrong; nor of the one that it names for its teachers.

    Raises:
        UsageError: something is; RecipeError where it is a matter of keys and values.
    """
    loaded = load_recipe(name, settings)
    refuse_idle(loaded)
    refuse_in_recipe(loaded.recipe)
    named = loaded.recipe.teacher.recipe
    try:
        teachers = load_recipe(named)
        refuse_taught(teachers)
        refuse_in_recipe(teachers.recipe)
    except UsageError as error:
        found = [f"teacher.recipe={named}: {line}" for line in error.what.splitlines()]
        raise RecipeError(found, error.fix) from error
    return loaded


def show(ask: Ask, progress: Progress) -> Shown:
    """Every value that a run with these data and models would use.

    Who and on what: by flags, else by the recipe's `who:` block, else by the examples.

    Raises:
        UsageError: a teacher is named to a recipe that has none.
    """
    loaded = load_recipe(ask.recipe, ask.settings)
    if ask.teachers and not loaded.recipe.methods:
        raise UsageError(
            f"--teacher {ask.teachers[0]}: recipe {loaded.name} has no teacher (scheme "
            f"{loaded.recipe.scheme.name}); who learns by it is --student",
            _show(replace(ask, student=ask.student or ask.teachers[0])),
        )
    who = ask.who(loaded.recipe, progress)
    source, _ = open_data(who.data, progress, surveyed=False)
    advise(loaded, source, progress)
    start = starting_point(who.student or STUDENT, progress)
    teachers = _teachers(who) if loaded.recipe.methods else [TEACHER]
    taught_by = tuple(architecture(thing, progress) for thing in teachers)
    given = started(loaded, start.weights).recipe
    values = auto_values(given, start.model, taught_by, source, open_device("auto"))
    resolved = fill_auto(loaded.recipe, values)
    before, after = dump(loaded.recipe), dump(resolved)
    after["scheme"] |= scheme_of(resolved).model_dump(by_alias=True)
    for name, method in methods_of(resolved).items():  # options that came later, too
        after["methods"][name] |= method.model_dump(by_alias=True)
    found = [
        Setting(key, value, _origin(key, get(before, key) != value, loaded, source.name))
        for key, value in ((key, get(after, key)) for key in _keys(after))
    ]
    return Shown(found, _command(ask, loaded, who), _of_teachers(loaded, who))


def _show(ask: Ask) -> str:
    words = ["kd", "recipe", "show", ask.recipe, *(w for s in ask.settings for w in ("--set", s))]
    flags = {"--student": ask.student, "--data": ask.data}
    return shlex.join([*words, *(w for flag, v in flags.items() if v for w in (flag, v))])


def _of_teachers(loaded: LoadedRecipe, who: Who) -> list[str]:
    """Of each that is trained first: what is handed to it goes along."""
    itself = scheme_of(loaded.recipe).teaches_itself and not who.taught_by
    if not loaded.recipe.methods or itself or loaded.recipe.teacher.tune == "none":
        return []
    raw, usual = dump(loaded.recipe), dump(Recipe())
    of_data = ("image_size", "crop_pct", "hidden", "licence")
    handed = SAME | {key: key for key in (f"data.{one}" for one in of_data)}
    changed = {
        own: get(raw, key) for key, own in handed.items() if get(raw, key) != get(usual, key)
    }
    settings = tuple(f"{key}={json.dumps(value)}" for key, value in changed.items())
    trained = [one for one in _teachers(who) if not (is_given(one) or is_file(one))]
    recipe = loaded.recipe.teacher.recipe
    asks = (Ask(recipe, settings, student=one, data=who.data) for one in trained)
    return list(dict.fromkeys(map(_show, asks)))


def _teachers(who: Who) -> list[str]:
    return [one if isinstance(one, str) else one.model for one in who.taught_by] or [TEACHER]


def _command(ask: Ask, loaded: LoadedRecipe, who: Who) -> str:
    """Flags as they were given; what neither they nor the recipe say is the examples'."""
    student = ask.student or (None if who.student else STUDENT)
    if not loaded.recipe.methods:
        learner = student or who.student
        return replace(ask, model=learner, student=None, teachers=()).command("train")
    alone = bool(who.taught_by) or scheme_of(loaded.recipe).teaches_itself
    teachers = ask.teachers or (() if alone else (TEACHER,))
    return replace(ask, teachers=teachers, student=student).command("distill")


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
