"""FILE.yaml of `kd sweep`: what all cells have in common, the axes along which they differ, and
which of them are left out."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from kdcli.core.errors import RecipeError
from kdcli.core.options import Options
from kdcli.core.text import counted, did_you_mean
from kdcli.plan.ask import Ask
from kdcli.recipe.errors import tell
from kdcli.recipe.other_names import in_words
from kdcli.recipe.places import field_at
from kdcli.recipe.safe_yaml import key_lines, read_value, read_yaml
from kdcli.recipe.schema import Recipe

TEXTS = ("recipe", "student", "data", "classes")
SEVERAL = ("teacher", "assistant", "peer")
FLAGS = (*SEVERAL, *TEXTS, "seed")
"""Of `kd distill`, by their names; all other keys are the recipe's."""
MOST = 10_000
"""Cells of a file."""


class SweepFile(Options):
    """The format."""

    common: dict[str, Any] = {}  # noqa: RUF012  # pydantic copies it
    """What a command line says of every cell."""
    axes: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}  # noqa: RUF012
    """Values of each key; a cell for each of their combinations."""
    exclude: list[dict[str, Any]] = []  # noqa: RUF012
    """Cells that have all of these values are left out."""
    export: bool = False
    """Each group's student of its first seed is exported, too."""


@dataclass(frozen=True)
class Cell:
    """One training of a student: a `kd distill` of its own."""

    point: tuple[tuple[str, Any], ...]
    """Where it stands on the axes."""
    ask: Ask

    @property
    def words(self) -> str:
        """`recipe=dkd student=resnet18 seed=1`."""
        return " ".join(f"{key}={_spelled(value)}" for key, value in self.point) or self.ask.recipe

    def words_of(self, seeds: int) -> str:
        """Of so many seeds, from its own on: `recipe=dkd student=resnet18, 3 seeds`."""
        if seeds == 1:
            return self.words
        others = tuple((key, value) for key, value in self.point if key != "seed")
        return f"{replace(self, point=others).words}, {seeds} seeds"


@dataclass(frozen=True)
class Grid:
    """All cells of a file, in its order."""

    path: Path
    cells: tuple[Cell, ...]
    export: bool = False


def read_grid(path: Path, device: str = "auto") -> Grid:
    """The cells of a file; each is asked for on this device.

    Raises:
        RecipeError: the file cannot be read, or keys and values that no command line could have;
            all of them at once, by file, line and key.
    """
    raw = read_yaml(path)
    if not raw:
        raise RecipeError([f"{path}: says nothing"], "docs/scale.md shows a file: common:, axes:")
    lines = key_lines(path)
    problems = dict(_unknown(raw))
    try:
        file = SweepFile.model_validate({k: v for k, v in raw.items() if k not in problems})
    except ValidationError as error:
        file = SweepFile()
        problems |= tell(error, raw, inside=("", SweepFile))
    problems |= _wrong_keys(file)
    cells = () if problems else tuple(_cells(file, device))
    if not problems and not cells:
        problems["exclude"] = "leaves no cell"
    if problems:
        raise RecipeError(
            f"{path}{_line(lines, key)}: {key}: {text}" for key, text in problems.items()
        )
    return Grid(path, cells, file.export)


def _line(lines: Mapping[str, int], key: str) -> str:
    """Of the key, or of what it stands in."""
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return f":{lines[key]}" if key else ""


def _unknown(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in raw:
        if key not in SweepFile.model_fields:
            inside = "; it stands under common: or axes:" if not _wrong_key(key, None) else ""
            yield key, f"unknown key{did_you_mean(key, SweepFile.model_fields) or inside}"


def _wrong_keys(file: SweepFile) -> dict[str, str]:
    """What is wrong, by where it stands."""
    found: dict[str, str] = {}
    keys = {*file.common, *file.axes}
    for key, value in file.common.items():
        found[f"common.{key}"] = (
            _wrong_key(key, value) or _within_another(key, keys) or _wrong_value(key, value)
        )
    for key, values in file.axes.items():
        wrong = (_wrong_value(key, value) for value in values)
        twice = [value for i, value in enumerate(values) if value in values[:i]]
        found[f"axes.{key}"] = (
            _wrong_key(key, values[0])
            or ("stands in common, too" if key in file.common else "")
            or _within_another(key, keys)
            or next(filter(None, wrong), "")
            or (f"{_spelled(twice[0])} stands twice" if twice else "")
        )
    for i, one in enumerate(file.exclude):
        if not one:
            found[f"exclude.{i}"] = "names nothing"
        for key, value in one.items():
            known = file.axes.get(key, [])
            meant = did_you_mean(str(value), map(str, known))
            found[f"exclude.{i}.{key}"] = (
                f"no axis{did_you_mean(key, file.axes)}"
                if key not in file.axes
                else f"{_spelled(value)} is not on that axis{meant}"
                if value not in known
                else ""
            )
    if (count := math.prod(map(len, file.axes.values()))) > MOST:
        found["axes"] = f"{counted(count, 'cell')}, of at most {MOST:,}"
    return {key: text for key, text in found.items() if text}


def _wrong_key(key: str, value: Any) -> str:
    """A key that neither a flag is called nor the recipe has; methods' and schemes' own are looked
    at where the recipe is known."""
    if key in FLAGS:
        return ""
    if key == "device":
        return "a flag of kd sweep itself: kd sweep FILE --device ..."
    section = key.partition(".")[0]
    is_section = key == section and key in ("student", "teacher", "data")
    open_ended = section in ("methods", "scheme") and section in Recipe.model_fields
    if not is_section and (open_ended or field_at(key)):
        return ""
    near = in_words(key, value, FLAGS) or did_you_mean(key, FLAGS)
    return f"neither a flag of kd distill nor a key of the recipe{near}"


def _within_another(key: str, keys: Set[str]) -> str:
    """`train.epochs` beside `train: {...}`, which may say it, too."""
    whole = key.rpartition(".")[0]
    while whole and (whole in FLAGS or whole not in keys):
        whole = whole.rpartition(".")[0]
    return f"{whole} stands there as a block, too: all of it in one place" if whole else ""


def _wrong_value(key: str, value: Any) -> str:
    shown = _spelled(value)
    if key in TEXTS and not isinstance(value, str):
        return f"expects a text, not {shown}"
    if key in (*TEXTS, *SEVERAL) and "" in (value if isinstance(value, list) else [value]):
        return "expects a name, not an empty text"
    if key in SEVERAL:
        each = value if isinstance(value, list) and value else [value]
        if not all(isinstance(one, str) for one in each):
            return f"expects a text, or a list of them, not {shown}"
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if key == "seed" and not whole:
        return f"expects a whole number from 0 on, not {shown}"
    if key not in FLAGS and not _is_plain(value):
        return f"expects a plain value, not {shown}"
    return ""


def _is_plain(value: Any) -> bool:
    """What --set can say."""
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _cells(file: SweepFile, device: str) -> Iterator[Cell]:
    for values in itertools.product(*file.axes.values()):
        point = dict(zip(file.axes, values, strict=True))
        excluded = (all(point[k] == v for k, v in one.items()) for one in file.exclude)
        if not any(excluded):
            yield Cell(tuple(point.items()), _ask(file.common | point, device))


def _ask(said: Mapping[str, Any], device: str) -> Ask:
    several = {f"{key}s": _tuple(said[key]) for key in SEVERAL if key in said}
    alone = {key: said[key] for key in ("recipe", "student", "data", "seed") if key in said}
    classes = {"classes": Path(said["classes"])} if "classes" in said else {}
    settings = tuple(f"{key}={_spelled(said[key])}" for key in said if key not in FLAGS)
    return Ask(**{"recipe": "kd"} | alone | several | classes, settings=settings, device=device)


def _tuple(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


def _spelled(value: Any) -> str:
    """As a flag takes it: a text as it is, where YAML would read it as that."""
    if isinstance(value, str):
        try:
            if read_value(value, "") == value:
                return value
        except RecipeError:
            pass
    return json.dumps(value, ensure_ascii=False, default=str)
