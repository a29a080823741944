"""`--set key=value`: read, checked, and put in the order in which all of them hold."""

import re
from typing import Any

from kdcli.core.errors import RecipeError
from kdcli.recipe.places import shorthand_at
from kdcli.recipe.safe_yaml import read_value


def parse_setting(setting: str) -> tuple[str, Any]:
    """`train.epochs=30` -> (`train.epochs`, 30); the value is read as YAML.

    Raises:
        RecipeError: no `key=value`, or a value that is no YAML.
    """
    key, equals, value = setting.partition("=")
    if not equals or not re.fullmatch(r"\w+(\.\w+)*", key.strip()):
        raise RecipeError([f"--set {setting}: expects key=value, as in --set {_spelled(setting)}"])
    found = read_value(value, f"--set {setting}")
    if isinstance(found, str) and re.search(r"[,;\s]\s*[a-z]\w*(\.\w+)+=", found):
        raise RecipeError([f"--set {setting}: several settings; each takes a --set of its own"])
    return key.strip(), found


def _spelled(setting: str) -> str:
    """The setting as it was meant, where it is near one; else an example."""
    if re.fullmatch(r"methods\.\w+", setting):
        return f"{setting}={{}}"
    near = re.fullmatch(r"-*(\w+(?:\.\w+)+)\s*[:=\s]\s*(\S+)", setting)
    return f"{near[1]}={near[2]}" if near else "train.epochs=30"


def written_out(key: str, value: Any) -> str:
    """The key whose value it is, where a shorthand stands for a mapping: `data.pool.by`."""
    short = shorthand_at(key) if isinstance(value, str) else ""
    return f"{key}.{short}" if short else key


def in_order(settings: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
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
