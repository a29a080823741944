"""A folder is a registry: a method or scheme is a file in its folder, or a plug-in's entry point.

`names` and `describe` read the folder without importing what lies in it; `load` imports by name.
Plug-ins announce themselves under the entry point groups `kdcli.methods` and `kdcli.schemes`.

The one place where a lower room reaches for higher ones: by name, at run time, so that a recipe
is checked by the classes it names, and no list of them has to be kept anywhere.
"""

import ast
import importlib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

from kdcli.core.errors import UsageError
from kdcli.core.method import Method
from kdcli.core.options import Options
from kdcli.core.other_names import METHODS, SCHEMES, called, nearly_called, or_words, titled
from kdcli.core.plugins import faults
from kdcli.core.scheme import Scheme
from kdcli.core.text import did_you_mean, first_line

Kind = Literal["methods", "schemes"]
_CLASSES: dict[Kind, type[Options]] = {"methods": Method, "schemes": Scheme}
OTHER_NAMES: dict[Kind, dict[str, str]] = {"methods": METHODS, "schemes": SCHEMES}


def names(kind: Kind) -> list[str]:
    """Every name of this kind, the built-in ones and those of plug-ins, sorted."""
    return sorted({*_files(kind), *_plugins(kind)})


def describe(kind: Kind, name: str) -> str:
    """The first line of its docstring; built-in files are read, not imported: importing one brings
    in torch, which takes seconds.

    Raises:
        UsageError: there is none of that name, or its plug-in is broken.
    """
    if file := _files(kind).get(name):
        classes = [
            n for n in ast.parse(file.read_text("utf-8")).body if isinstance(n, ast.ClassDef)
        ]
        doc = ast.get_docstring(classes[0]) if classes else None
    else:
        doc = load(kind, name).__doc__
    return (doc or "").strip().split("\n")[0]


def load(kind: Kind, name: str) -> Any:
    """The class itself: of `Method` or `Scheme`, whose fields are the recipe's options.

    A built-in one goes before a plug-in's of the same name: installing a package changes no
    recipe that there was.

    Raises:
        UsageError: there is none of that name, or its plug-in is broken.
    """
    if name in _files(kind):  # asked first: only files that lie there are ever imported
        module = importlib.import_module(f"kdcli.{kind}.{name}")
        return _only_class(kind, module)
    if plugin := _plugins(kind).get(name):
        _refuse_two(kind, name)
        return _loaded(kind, plugin)
    raise UsageError(
        f"unknown {kind[:-1]} '{name}'{meant(kind, name)}",
        f"known {kind}: {', '.join(names(kind))}",
    )


def meant(kind: Kind, word: str) -> str:
    """`; did you mean 'at'?` of a name that papers or people have for one of them, or a near one;
    nothing where none is."""
    if also := called(word, OTHER_NAMES[kind]):
        return or_words(also)
    if near := did_you_mean(word, names(kind)):
        return near
    titles = {name: describe(kind, name) for name in _files(kind)}
    return or_words(nearly_called(word, OTHER_NAMES[kind]) or titled(word, titles))


def _files(kind: Kind) -> dict[str, Path]:
    folder = Path(__file__).parent.parent / kind
    # `_shared.py` is what several schemes have in common, and none itself
    return {f.stem: f for f in folder.glob("*.py") if not f.stem.startswith("_")}


def _plugins(kind: Kind) -> dict[str, EntryPoint]:
    return {e.name: e for e in _announced(kind)}


def _announced(kind: Kind) -> list[EntryPoint]:
    return list(entry_points(group=f"kdcli.{kind}"))


def _refuse_two(kind: Kind, name: str) -> None:
    """Which of two it is would depend on the order in which they were installed."""
    found = {e.value: _package(e) for e in _announced(kind) if e.name == name}
    if len(found) > 1:
        raise UsageError(
            f"{kind[:-1]} '{name}': two plug-ins are called so: "
            + ", ".join(f"{value} of {package}" for value, package in found.items()),
            "uninstall one of them",
        )


def _package(plugin: EntryPoint) -> str:
    return plugin.dist.name if plugin.dist else plugin.module


def _loaded(kind: Kind, plugin: EntryPoint) -> Any:
    try:
        found = plugin.load()
    except (Exception, SystemExit) as error:  # whatever somebody else's module does when imported
        raise _broken(kind, plugin, f"cannot be imported: {first_line(error)}") from error
    if wrong := faults(found, _CLASSES[kind]):
        raise _broken(kind, plugin, "; ".join(wrong))
    return found


def _broken(kind: Kind, plugin: EntryPoint, why: str) -> UsageError:
    package = _package(plugin)
    return UsageError(
        f"{kind[:-1]} '{plugin.name}': {plugin.value} of the plug-in {package} {why}",
        f"mend the package {package}, or uninstall it",
    )


def _only_class(kind: Kind, module: Any) -> type:
    """The one class of this kind that the module defines itself; imported ones do not count."""
    base = _CLASSES[kind]
    (found,) = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, base)
        and value.__module__ == module.__name__
    ]
    return found
