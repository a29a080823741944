"""A recipe file becomes a Recipe: found by name or path, read safely, all mistakes told at once."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import BaseModel, ValidationError

from kdcli import catalog
from kdcli.errors import RecipeError, UsageError, did_you_mean
from kdcli.recipe import Recipe, put
from kdcli.recipe_errors import tell
from kdcli.records import Scheme

MAX_BYTES = 1_000_000
ALSO_CALLED = {"output_avg": "average", "loss_avg": "average"}
"""Other names that papers have for a scheme."""


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
    path = find_recipe(name)
    raw = read_yaml(path)
    shown = f"recipe {name}" if name in recipe_names() else str(path)
    origins = {key: shown for key in _leaves(raw)}
    for setting in settings:
        key, value = parse_setting(setting)
        put(raw, key, value)
        origins = {k: v for k, v in origins.items() if not _above_or_below(k, key)}
        origins |= {key: "--set"}
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
    """Whether its scheme does."""
    return scheme_of(recipe).needs_teacher


def scheme_of(recipe: Recipe) -> Scheme:
    """Its scheme, with the recipe's options."""
    scheme: Scheme = catalog.load("schemes", recipe.scheme.name)(**recipe.scheme.options)
    return scheme


def recipe_folder() -> Path:
    """Where shipped recipes lie: inside the wheel, or beside the package in a checkout."""
    inside = Path(__file__).parent / "recipes"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "recipes"


def recipe_names() -> list[str]:
    """The shipped recipes."""
    return sorted(f.stem for f in recipe_folder().glob("*.yaml"))


def find_recipe(name: str) -> Path:
    """A shipped recipe by its name, else a file by its path."""
    if name in recipe_names():
        return recipe_folder() / f"{name}.yaml"
    if Path(name).is_file():
        return Path(name)
    raise UsageError(
        f"no recipe '{name}': neither a shipped one nor a file{did_you_mean(name, recipe_names())}",
        f"shipped recipes: {', '.join(recipe_names())}; or give the path of a .yaml file",
    )


def describe_recipe(name: str) -> str:
    """The first line of its header."""
    first = (recipe_folder() / f"{name}.yaml").read_text("utf-8").split("\n")[0]
    return first.removeprefix("#").strip()


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses duplicate keys and aliases, and reads 1e-3 as a number."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            self._refuse("aliases are not allowed", self.peek_event())  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                self._refuse("a key must be a text", key)
            if key.value in seen:
                self._refuse(f"the key '{key.value}' stands twice", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def _refuse(self, problem: str, node: Any) -> NoReturn:
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _use_yaml_1_2_scalars() -> None:
    """Only true / false are booleans, 1e-3 is a number, 010 is ten: PyYAML's rules are YAML 1.1."""
    replaced = {f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float")}
    _Loader.yaml_implicit_resolvers = {
        first: [r for r in resolvers if r[0] not in replaced]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    whole = re.compile(r"[-+]?(0|[1-9]\d*)$")
    _Loader.add_implicit_resolver("tag:yaml.org,2002:int", whole, list("-+0123456789"))
    number = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)?$|[-+]?\.(inf|nan)$")
    _Loader.add_implicit_resolver(
        "tag:yaml.org,2002:bool", re.compile("(true|false|True|False)$"), list("tTfF")
    )
    _Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))


_use_yaml_1_2_scalars()


def read_yaml(path: Path) -> dict[str, Any]:
    """One mapping from a YAML file; nothing in it is ever executed."""
    if path.stat().st_size > MAX_BYTES:
        raise RecipeError([f"{path}: larger than {MAX_BYTES:,} bytes; this is not a recipe"])
    try:
        raw = yaml.load(path.read_text("utf-8"), _Loader)
    except RecursionError as error:
        raise RecipeError([f"{path}: nested too deep for a recipe"]) from error
    except UnicodeDecodeError as error:
        raise RecipeError([f"{path}: not a text file"]) from error
    except yaml.YAMLError as error:
        raise RecipeError([f"{path}{_where(error)}: {_problem(error)}"]) from error
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise RecipeError([f"{path}: expects keys such as 'train:', not {type(raw).__name__}"])
    return raw


def parse_setting(setting: str) -> tuple[str, Any]:
    """`train.epochs=30` -> (`train.epochs`, 30); the value is read as YAML."""
    key, equals, value = setting.partition("=")
    if not equals or not re.fullmatch(r"\w+(\.\w+)*", key.strip()):
        raise RecipeError([f"--set {setting}: expects key=value, as in --set train.epochs=30"])
    try:
        return key.strip(), yaml.load(value, _Loader)
    except RecursionError as error:
        raise RecipeError([f"--set {key}: nested too deep"]) from error
    except yaml.YAMLError as error:
        raise RecipeError([f"--set {setting}: {_problem(error)}"]) from error


def check(raw: dict[str, Any], origins: dict[str, str], source: str) -> Recipe:
    """A Recipe from plain mappings.

    Raises:
        RecipeError: one line per wrong key, all of them at once.
    """
    raw = raw | {"scheme": _as_mapping(raw.get("scheme", "offline"), "name")}
    problems: dict[str, str] = {}
    methods = {} if raw.get("methods") is None else raw["methods"]
    raw["methods"] = _check_methods(methods, problems)
    _check_scheme(raw["scheme"], problems)
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        problems = tell(error, raw) | problems
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
    if key == "task" or not key.isidentifier():
        problems[f"methods.{key}"] = (
            "'task' is the term of the labels; choose another name"
            if key == "task"
            else "a name is made of letters, digits and _"
        )
    if not isinstance(use, dict):
        return use
    try:
        method = catalog.load("methods", str(use.get("use") or key))
    except UsageError as error:
        problems[f"methods.{key}"] = error.what
        return {"weight": 1.0}
    given = {k: v for k, v in use.items() if k not in ("use", "weight")}
    options = _validated(method, given, f"methods.{key}", ("use", "weight"), problems)
    return {"weight": method.default_weight} | use | options


def _check_scheme(raw: Any, problems: dict[str, str]) -> None:
    if not isinstance(raw, dict):
        return
    raw["name"] = ALSO_CALLED.get(str(raw.get("name")), raw.get("name"))
    try:
        scheme = catalog.load("schemes", str(raw.get("name")))
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
        return model.model_validate(given).model_dump(by_alias=True)
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
        return origins[max(near, key=len)]
    parent = key.rpartition(".")[0]
    return origin_of(parent, origins, otherwise) if "." in parent else otherwise


def _above_or_below(one: str, other: str) -> bool:
    return one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _leaves(raw: Any, path: str = "") -> list[str]:
    if not isinstance(raw, dict) or not raw:
        return [path] if path else []
    return [
        leaf for key, value in raw.items() for leaf in _leaves(value, f"{path}.{key}".lstrip("."))
    ]


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}:{mark.column + 1}" if mark else ""


def _problem(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None) or str(error)
    if "could not determine a constructor for the tag" in problem:
        return f"{problem}; recipes hold plain values only"
    return str(problem)
