"""A recipe file becomes a Recipe: found by name or path, read safely, all mistakes told at once."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from kdcli.core import registry
from kdcli.core.errors import RecipeError, UsageError
from kdcli.core.options import LATER, left_out
from kdcli.core.other_names import called, or_words
from kdcli.core.scheme import Scheme
from kdcli.core.text import did_you_mean
from kdcli.recipe.edit import get, put
from kdcli.recipe.errors import tell
from kdcli.recipe.other_names import option_keys
from kdcli.recipe.places import field_at, fields_of, may_be_null
from kdcli.recipe.safe_yaml import read_yaml
from kdcli.recipe.schema import Recipe
from kdcli.recipe.settings import in_order, parse_setting, written_out

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

    def chosen(self, key: str) -> bool:
        """Whether a person set this very key: by a flag, or in a recipe file of their own."""
        return self.origins.get(key, "default") not in ("default", f"recipe {self.name}")

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
    origins = {written_out(key, get(raw, key)): shown for key in _leaves(raw)}
    for key, value in in_order([parse_setting(setting) for setting in settings]):
        put(raw, key, value)
        # what the setting has replaced, or goes into, is no longer the file's
        origins = {k: v for k, v in origins.items() if not _above_or_below(k, key)}
        origins |= {written_out(key, value): "--set"}
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


def learns_without_labels(recipe: Recipe) -> bool:
    """Whether it learns from images without labels, too."""
    return scheme_of(recipe).labelled_by_teachers or recipe.data.labelled_share is not None


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
    path = Path(name)
    with suppress(OSError, ValueError):  # too long for a name, a NUL in it
        if path.is_file():
            return path
        if name and path.exists():
            kind = "a folder" if path.is_dir() else "a device or a pipe"
            raise UsageError(f"{name}: {kind}, no recipe", "give the path of a .yaml file")
    raise UsageError(
        f"no recipe '{name}': neither a shipped one nor a file{_meant(name)}",
        f"shipped recipes: {', '.join(recipe_names())}; or give the path of a .yaml file",
    )


def _meant(name: str) -> str:
    """`; did you mean 'at'?`: recipes are called after their methods and schemes."""
    for kind in registry.OTHER_NAMES.values():
        if found := [one for one in called(name, kind) if one in recipe_names()]:
            return or_words(found)
    return did_you_mean(name, recipe_names())


def describe_recipe(name: str) -> str:
    """The first line of its header, which says what it is for (a test holds every file to it)."""
    first = (recipe_folder() / f"{name}.yaml").read_text("utf-8").split("\n")[0]
    return first.removeprefix("#").strip()


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
    nulls = _nulls(raw)
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        # of one key, what its own class said
        nulls |= tell(error, raw, option_keys(raw))
    problems = nulls | problems
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
    options = _validated(method, given, f"methods.{key}", problems)
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
    raw |= _validated(scheme, given, "scheme", problems)


def _validated(
    model: type[BaseModel], given: dict[str, Any], path: str, problems: dict[str, str]
) -> dict[str, Any]:
    try:
        found = model.model_validate(given)
        # a recipe says nothing of what came later and is as before, so that its run is found
        return found.model_dump(by_alias=True, exclude=left_out(found, LATER))
    except ValidationError as error:
        known = [f"{path}.{key}" for key in (*fields_of(model), "weight", "name")]
        told = tell(error, given, known, inside=(path, model))
        problems |= {f"{path}.{key}": text for key, text in told.items()}
        return {}


def _nulls(raw: dict[str, Any]) -> dict[str, str]:
    """Python's None where a text or null may stand: nobody means a text of that name."""
    told = {}
    for key in _leaves(raw):
        value, field = get(raw, key), field_at(key)
        if value in ("None", "none") and field and may_be_null(field.annotation):
            told[key] = f"expects a text, not {value!r}; null is off"
    return told


def recipe_keys(name: str = "kd") -> list[str]:
    """The keys in full of this recipe's methods and scheme, as `methods.kd.temperature`; of the
    default recipe where there is none of that name."""
    try:
        raw = read_yaml(find_recipe(name))
    except UsageError:
        return recipe_keys()
    methods = raw.get("methods") or {}
    return option_keys({"methods": methods, "scheme": _as_mapping(raw.get("scheme"), "name")})


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
