"""A recipe file becomes a Recipe: found by name or path, read safely, all mistakes told at once."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from kdcli.core import registry
from kdcli.core.errors import RecipeError, UsageError
from kdcli.core.options import LATER, left_out
from kdcli.core.scheme import Scheme
from kdcli.core.text import did_you_mean
from kdcli.recipe.edit import get, put
from kdcli.recipe.errors import tell
from kdcli.recipe.places import shorthand_at
from kdcli.recipe.safe_yaml import read_value, read_yaml
from kdcli.recipe.schema import Recipe

ALSO_CALLED = {"output_avg": "average", "loss_avg": "average"}
"""Other names that papers have for a scheme: both of Zuchniak's (arXiv:2302.07215) have the same
gradient (`schemes/average.py`), and the recipe holds one name, so that they are one run."""


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe, its name, and which of its keys came from where."""

    recipe: Recipe
    name: str
    origins: dict[str, str]
    """`{"train.epochs": "--set"}`; keys that are missing here have the schema's default."""

    def origin(self, key: str) -> str:
        """Where this key's value came from."""
        return origin_of(key, self.origins, "default")


def load_recipe(name: str, settings: tuple[str, ...] = ()) -> LoadedRecipe:
    """Read `name` (a shipped recipe, or a path) and put `settings` (`key=value`) over it.

    Raises:
        RecipeError: all mistakes at once, each with file or flag, key, and what was expected.
        UsageError: there is no such recipe.
    """
    # Mistakes of the YAML end it here; those of keys and values wait until all settings are in,
    # as a setting may mend what the file has wrong, and are told together.
    path = find_recipe(name)
    raw = read_yaml(path)
    shown = f"recipe {name}" if name in recipe_names() else str(path)
    origins = {_written_out(key, get(raw, key)): shown for key in _leaves(raw)}
    for key, value in _in_order([parse_setting(setting) for setting in settings]):
        put(raw, key, value)
        # what the setting has replaced, or goes into, is no longer the file's
        origins = {k: v for k, v in origins.items() if not _above_or_below(k, key)}
        origins |= {_written_out(key, value): "--set"}
    return LoadedRecipe(check(raw, origins, shown), path.stem, origins)


def refuse_idle(loaded: LoadedRecipe) -> None:
    """Raise RecipeError where there is a teacher and no method: it would teach nothing."""
    if loaded.recipe.methods or not needs_teacher(loaded.recipe):
        return
    raise RecipeError(
        [f"recipe {loaded.name} names no method, so the teacher would teach nothing"],
        "name one under methods:, as in methods: {kd: {weight: 0.9}}, or use scheme: alone",
    )


def needs_teacher(recipe: Recipe) -> bool:
    """Whether its scheme does: nothing in it can be run without a teacher."""
    return scheme_of(recipe).needs_teacher


def scheme_of(recipe: Recipe) -> Scheme:
    """Its scheme, with the recipe's options.

    Raises:
        UsageError: there is no such scheme (never of a recipe that `check` has passed, but for a
            plug-in's that was uninstalled since).
    """
    scheme: Scheme = registry.load("schemes", recipe.scheme.name)(**recipe.scheme.options)
    return scheme


def recipe_folder() -> Path:
    """Where shipped recipes lie: inside the wheel, or beside the package in a checkout.

    pyproject.toml puts them into the wheel at this place (force-include).
    """
    inside = Path(__file__).parent / "shipped"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "recipes"


def recipe_names() -> list[str]:
    """The shipped recipes, by the names of their files, sorted."""
    return sorted(f.stem for f in recipe_folder().glob("*.yaml"))


def find_recipe(name: str) -> Path:
    """A shipped recipe by its name, else a file by its path.

    Raises:
        UsageError: it is neither.
    """
    if name in recipe_names():
        return recipe_folder() / f"{name}.yaml"
    if Path(name).is_file():
        return Path(name)
    raise UsageError(
        f"no recipe '{name}': neither a shipped one nor a file{did_you_mean(name, recipe_names())}",
        f"shipped recipes: {', '.join(recipe_names())}; or give the path of a .yaml file",
    )


def describe_recipe(name: str) -> str:
    """The first line of its header, which says what it is for (a test holds every file to it)."""
    first = (recipe_folder() / f"{name}.yaml").read_text("utf-8").split("\n")[0]
    return first.removeprefix("#").strip()


def parse_setting(setting: str) -> tuple[str, Any]:
    """`train.epochs=30` -> (`train.epochs`, 30); the value is read as YAML.

    Raises:
        RecipeError: no `key=value`, or a value that is no YAML.
    """
    key, equals, value = setting.partition("=")
    if not equals or not re.fullmatch(r"\w+(\.\w+)*", key.strip()):
        raise RecipeError([f"--set {setting}: expects key=value, as in --set train.epochs=30"])
    return key.strip(), read_value(value, f"--set {setting}")


def _written_out(key: str, value: Any) -> str:
    """The key whose value it is, where a shorthand stands for a mapping: `data.pool.by`."""
    short = shorthand_at(key) if isinstance(value, str) else ""
    return f"{key}.{short}" if short else key


def _in_order(settings: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """All of them hold, whoever comes first: a mapping or its shorthand goes before its own keys.

    Raises:
        RecipeError: one throws another away.
    """
    for i, (key, value) in enumerate(settings):
        defaults = value is None and re.fullmatch(r"methods\.\w+", key)  # elsewhere null is off
        for inner in (one for one, _ in settings[:i] if one.startswith(f"{key}.")):
            own = inner[len(key) + 1 :].partition(".")[0]
            named = isinstance(value, str) and shorthand_at(key) not in ("", own)
            if not (defaults or named or (isinstance(value, dict) and value and own not in value)):
                raise RecipeError(
                    [f"--set {key}: throws away --set {inner}, which stands before it"],
                    "leave one of the two out, or name it first",
                )
        inside = [one for one, _ in settings[i + 1 :] if one.startswith(f"{key}.")]
        if value is None and inside and not defaults:
            raise RecipeError([f"--set {inside[0]}: --set {key}=null has it off"])
    return sorted(settings, key=lambda setting: setting[0].count("."))


def check(raw: dict[str, Any], origins: dict[str, str], source: str) -> Recipe:
    """A Recipe from plain mappings.

    Raises:
        RecipeError: one line per wrong key, all of them at once.
    """
    # Methods and schemes first, each by its own class: to the schema their options are any further
    # keys (extra="allow"), as a plug-in may bring more of them.
    raw = raw | {"scheme": _as_mapping(raw.get("scheme", "offline"), "name")}
    problems: dict[str, str] = {}
    methods = {} if raw.get("methods") is None else raw["methods"]
    raw["methods"] = _check_methods(methods, problems)
    _check_scheme(raw["scheme"], problems)
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        problems = tell(error, raw) | problems  # of one key, what its own class said
    if problems:
        raise RecipeError(
            [f"{origin_of(key, origins, source)}: {key}: {text}" for key, text in problems.items()]
        )
    return recipe


def _check_methods(raw: Any, problems: dict[str, str]) -> Any:
    """Every method's options checked by its own class and completed with its defaults."""
    if not isinstance(raw, dict):
        return raw  # the schema says what is wrong
    return {key: _check_method(key, value, problems) for key, value in raw.items()}


def _check_method(key: str, value: Any, problems: dict[str, str]) -> Any:
    use = {} if value is None else value
    # The key is the term's name in metrics.jsonl, where `task` is that of the labels, and a part of
    # `--set methods.KEY.option`, which is split at its dots.
    if key == "task" or not key.isidentifier():
        problems[f"methods.{key}"] = (
            "'task' is the term of the labels; choose another name"
            if key == "task"
            else "a name is made of letters, digits and _"
        )
    if not isinstance(use, dict):
        return use
    try:
        method = registry.load("methods", str(use.get("use") or key))
    except UsageError as error:
        problems[f"methods.{key}"] = error.what
        return {"weight": 1.0}  # else the schema would also miss a weight
    given = {k: v for k, v in use.items() if k not in ("use", "weight")}
    options = _validated(method, given, f"methods.{key}", ("use", "weight"), problems)
    # every option with its value: run.yaml says what was used, whatever a later kd's defaults are
    return {"weight": method.default_weight} | use | options


def _check_scheme(raw: Any, problems: dict[str, str]) -> None:
    if not isinstance(raw, dict):
        return
    raw["name"] = ALSO_CALLED.get(str(raw.get("name")), raw.get("name"))
    try:
        scheme = registry.load("schemes", str(raw.get("name")))
    except UsageError as error:
        problems["scheme"] = error.what
        return
    given = {k: v for k, v in raw.items() if k != "name"}
    raw |= _validated(scheme, given, "scheme", ("name",), problems)


def _validated(
    model: type[BaseModel],
    given: dict[str, Any],
    path: str,
    also_known: tuple[str, ...],
    problems: dict[str, str],
) -> dict[str, Any]:
    try:
        found = model.model_validate(given)
        # a recipe says nothing of what came later and is as before, so that its run is found
        return found.model_dump(by_alias=True, exclude=left_out(found, LATER))
    except ValidationError as error:
        own = (field.alias or name for name, field in model.model_fields.items())
        known = (*own, *also_known)
        problems |= {f"{path}.{key}": text for key, text in tell(error, given, known).items()}
        return {}


def _as_mapping(value: Any, key: str) -> Any:
    return {key: value} if isinstance(value, str) else value


def origin_of(key: str, origins: dict[str, str], otherwise: str) -> str:
    """Which flag or file said something about this key, or about what is above or below it."""
    near = [known for known in origins if known == key or _above_or_below(known, key)]
    if near:
        return origins[max(near, key=len)]  # the most exact of them
    # nobody named it, but maybe its mapping: whoever wrote `task: {}` answers for task.weight
    parent = key.rpartition(".")[0]
    return origin_of(parent, origins, otherwise) if "." in parent else otherwise


def _above_or_below(one: str, other: str) -> bool:
    return one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _leaves(raw: Any, path: str = "") -> list[str]:
    if not isinstance(raw, dict) or not raw:  # a value; an empty mapping is one, too
        return [path] if path else []
    return [
        leaf for key, value in raw.items() for leaf in _leaves(value, f"{path}.{key}".lstrip("."))
    ]
