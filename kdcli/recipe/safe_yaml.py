"""YAML read safely: 1.2 scalars, no duplicate keys, no aliases, no code. Home of yaml."""

import re
from pathlib import Path
from typing import Any, NoReturn

import yaml

from kdcli.core.errors import RecipeError
from kdcli.core.files import FORBIDDEN

MAX_BYTES = 1_000_000
"""Shipped recipes have about 1,000. The limit bounds the wait for a file that is something else:
800 kB of short values take the loader below 10 s."""
# In C, where PyYAML was built so: eight times as fast (0.7 ms for a run.yaml of 3.5 kB). It is for
# what a program wrote; the one below has to be Python's, as C composes nodes without asking us.
_PLAIN = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError)
"""What PyYAML raises of values that are not of the kind that they say or look like."""
MOST_VALUES = 1_000_000
"""Of what was written by a program; aliases of aliases make more of a few lines."""


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses duplicate keys and aliases, and reads 1e-3 as a number.

    PyYAML takes the last of two equal keys without a word: half of what was written would count.
    Aliases have no use in a recipe, and ten of ten of ten of them make a few lines too long for
    whoever walks through the values; they are refused where the first one is met.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            self._refuse("aliases are not allowed", self.peek_event())  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except _UNREADABLE:  # PyYAML leaves to Python what it thinks of `!!int x` and 2020-13-45
            kind = node.tag.rpartition(":")[2]
            self._refuse(f"'{str(node.value)[:40]}' is no {kind}", node)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":  # a list, a number, or `<<`
                self._refuse("a key must be a text", key)
            if key.value in seen:
                self._refuse(f"the key '{key.value}' stands twice", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def _refuse(self, problem: str, node: Any) -> NoReturn:
        # one of PyYAML's own, so that it is told with line and column as they are
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _use_yaml_1_2_scalars() -> None:
    """Only true / false are booleans, 1e-3 is a number, 010 is ten: PyYAML's rules are YAML 1.1.

    By those `on` and `no` are booleans, 1e-3 is a text, 010 is eight and 1:30 is ninety. Dates stay
    as they were, and are refused where a text is wanted.
    """
    replaced = {f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float")}
    _Loader.yaml_implicit_resolvers = {
        first: [r for r in resolvers if r[0] not in replaced]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    # The first pattern that fits decides, so whole numbers come before the others, whose pattern
    # takes them too: 010 becomes 10.0, and is refused where a whole number is wanted. The last
    # argument of each is what a scalar may begin with; PyYAML looks no further at others.
    whole = re.compile(r"[-+]?(0|[1-9]\d*)$")
    _Loader.add_implicit_resolver("tag:yaml.org,2002:int", whole, list("-+0123456789"))
    number = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)?$|[-+]?\.(inf|nan)$")
    _Loader.add_implicit_resolver(
        "tag:yaml.org,2002:bool", re.compile("(true|false|True|False)$"), list("tTfF")
    )
    _Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))


_use_yaml_1_2_scalars()


def read_value(text: str, source: str) -> Any:
    """One value as `--set` has it; `source` names it in errors.

    Raises:
        RecipeError: it is no YAML, or not a plain value.
    """
    try:
        return yaml.load(text, _Loader)
    except RecursionError as error:  # without the value: it has a thousand brackets
        raise RecipeError([f"{source.partition('=')[0]}: nested too deep"]) from error
    except yaml.YAMLError as error:
        raise RecipeError([f"{source}: {_problem(error)}"]) from error


def read_yaml(path: Path) -> dict[str, Any]:
    """One mapping from a YAML file, empty for an empty one; nothing in it is ever executed.

    Raises:
        RecipeError: too large, unreadable, no text, no YAML (with line and column), or no mapping.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RecipeError([f"{path}: larger than {MAX_BYTES:,} bytes; this is not a recipe"])
        raw = yaml.load(path.read_text("utf-8"), _Loader)
    except OSError as error:
        raise RecipeError(
            [f"{path}: cannot be read ({error.strerror or error})"],
            "let this user read it" if error.errno in FORBIDDEN else "check the path",
        ) from error
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


def key_lines(path: Path) -> dict[str, int]:
    """The line, from 1 on, in which each key of a file that `read_yaml` has read stands, by its
    path; entries of lists by their number: `exclude.0.recipe`."""
    found: dict[str, int] = {}

    def look(node: Any, at: str) -> None:
        if isinstance(node, yaml.MappingNode):
            inside = [(f"{at}{key.value}", key, value) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            inside = [(f"{at}{i}", value, value) for i, value in enumerate(node.value)]
        else:
            return
        for place, marked, value in inside:
            found[place] = marked.start_mark.line + 1
            look(value, f"{place}.")

    look(yaml.compose(path.read_text("utf-8"), _Loader), "")
    return found


def from_yaml(text: str) -> Any:
    """Plain values from what kd or a tool of the Hub has written; nothing in it is ever executed.

    Raises:
        ValueError: it is no such YAML.
    """
    try:
        found = yaml.load(text, _PLAIN)
    except (yaml.YAMLError, RecursionError, *_UNREADABLE) as error:
        raise ValueError(str(error)) from error
    _refuse_too_many(found)
    return found


def _refuse_too_many(value: Any) -> None:
    """Counted as whoever walks through them would: of an alias, once for each place."""
    waiting, count = [value], 0
    while waiting:
        one = waiting.pop()
        waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        if (count := count + 1) + len(waiting) > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES:,} values")


def to_yaml(value: Any) -> str:
    """Plain values as YAML, keys in their order: run.yaml reads as the format is documented."""
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}:{mark.column + 1}" if mark else ""


def _problem(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None) or str(error)
    if "could not determine a constructor for the tag" in problem:  # !!python/... and the like
        return f"{problem}; recipes hold plain values only"
    return str(problem)
