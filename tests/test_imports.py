"""Who may import whom: the order of the house, and one home for each heavy third party."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import kdcli

PACKAGE = Path(kdcli.__file__).parent

ORDER: list[set[str]] = [
    {"errors"},
    {"files"},
    {"machine"},
    {"reach"},
    {"logbook"},
    {"cache"},
    {"progress"},
    {"records"},
    {"functional"},
    {"layers"},
    {"undefined"},
    {"match_recipe"},
    {"data_recipe"},
    {"follow_recipe"},
    {"who_recipe"},
    {"disturb"},
    {"catalog"},
    {"recipe"},
    {"recipe_errors"},
    {"recipe_file"},
    {"spec"},
    {"hub_folder"},
    {"run_files"},
    {"runs"},
    {"locate"},
    {"inventory"},
    {"methods", "models", "data"},  # never each other
    {"schemes"},
    {"metrics"},
    {"per_class"},
    {"nearness"},
    {"temperature"},
    {"cost"},
    {"onnx_file"},
    {"deploy"},
    {"losses"},
    {"distiller"},
    {"shares"},
    {"meter"},
    {"checkpoint"},
    {"devices"},
    {"optimizer"},
    {"stepper"},
    {"trail"},
    {"epochs"},
    {"training"},
    {"commands"},
    {"console"},
    {"screens"},
    {"door"},
    {"completion"},
    {"cli"},
    {"__main__"},
]
"""A file imports only from names above its own, or from its own package. `catalog.load` imports
methods and schemes by name, which no import statement shows: the one sanctioned exception."""

LATER: set[str] = set()
"""Drawn in the plan, not needed yet."""

HOMES = {
    "rich": ("console",),
    "onnx": ("onnx_file",),
    "onnxruntime": ("onnx_file", "deploy"),
    "onnxscript": ("onnx_file",),
    "scipy": ("metrics",),
    "sklearn": ("data",),
    "timm": ("models", "data", "optimizer", "stepper"),
    "accelerate": ("devices",),
    "datasets": ("data",),
    "torchvision": ("data",),
    "typer": ("door", "cli"),
    "psutil": ("machine",),
}

HEAVY = {"torch", "torchvision", "timm", "accelerate", "onnx", "onnxruntime", "scipy", "sklearn"}
LIGHT = [
    "errors",
    "files",
    "machine",
    "reach",
    "logbook",
    "cache",
    "progress",
    "records",
    "match_recipe",
    "data_recipe",
    "follow_recipe",
    "who_recipe",
    "catalog",
    "recipe",
    "recipe_errors",
    "recipe_file",
    "spec",
    "hub_folder",
    "run_files",
    "runs",
    "locate",
    "inventory",
    "completion",
    "console",
    "screens",
    "screens.doctor",
    "screens.lists",
    "screens.inspect",
    "screens.inspect_document",
    "screens.models",
    "screens.predict",
    "screens.reports",
    "screens.soften",
    "screens.training",
    "door",
    "cli",
    "metrics",
    "per_class",
    "temperature",
    "commands.export_places",
    "commands.exported",
    "commands.licence_part",
    "commands.report",
    "data.images",
    "data.workers",
    "data.open",
    "data.spread",
    "data.survey",
    "models.families",
    "onnx_file.feeding",
    "onnx_file.read",
    "onnx_file.session",
]
"""No torch, however indirectly, until one of their functions is called."""

LONGEST = 300


@dataclass(frozen=True)
class Import:
    """One imported module, by its full name."""

    module: str
    line: int
    at_start: bool
    """It runs when the file is imported: not inside a function, not for the type checker alone."""


def _modules() -> dict[str, Path]:
    """`commands.plan` -> its file; packages by their own name."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = _modules()


def _imports(file: Path) -> list[Import]:
    return list(_walk(ast.parse(file.read_text("utf-8")), at_start=True))


def _walk(node: ast.AST, at_start: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, at_start) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: imports are absolute here"
            yield from _imported_from(child, at_start)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for part in child.body:
                yield from _walk(ast.Module([part], []), at_start=False)
            for part in child.orelse:
                yield from _walk(ast.Module([part], []), at_start)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _walk(child, at_start and not inside)


def _imported_from(node: ast.ImportFrom, at_start: bool) -> Iterator[Import]:
    """`from kdcli import runs` and `from kdcli.runs import Run` both import kdcli.runs."""
    for alias in node.names:
        inner = f"{node.module}.{alias.name}"
        known = inner.removeprefix("kdcli.") in MODULES and inner.startswith("kdcli.")
        yield Import(inner if known else str(node.module), node.lineno, at_start)


def _rank(name: str) -> int:
    return next(i for i, names in enumerate(ORDER) if name in names)


def test_every_name_of_the_tree_stands_in_the_order() -> None:
    tops = {name.split(".")[0] for name in MODULES if name}
    listed = [name for names in ORDER for name in names]
    assert tops | LATER == set(listed)
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_point_up(name: str) -> None:
    own = name.split(".")[0]
    wrong = []
    for found in _imports(MODULES[name]):
        if not found.module.startswith("kdcli."):
            continue  # kdcli itself holds the version
        other = found.module.split(".")[1]
        if other != own and (own == "" or _rank(other) >= _rank(own)):
            wrong.append(f"line {found.line}: {found.module}")
    assert not wrong


@pytest.mark.parametrize("package", sorted(HOMES))
def test_third_parties_have_one_home(package: str) -> None:
    strays = [
        f"{name}:{found.line}"
        for name, file in MODULES.items()
        for found in _imports(file)
        if found.module.split(".")[0] == package and name.split(".")[0] not in HOMES[package]
    ]
    assert not strays


def _at_start(name: str) -> set[str]:
    """Every module, ours and others', that importing ours brings in, by import statements alone."""
    todo, done, others = [name], set(), set()
    while todo:
        current = todo.pop()
        if current in done:
            continue
        done.add(current)
        if "." in current:
            todo.append(current.rpartition(".")[0])  # a package's __init__ runs first
        for found in _imports(MODULES[current]):
            if not found.at_start:
                continue
            if found.module.startswith("kdcli."):
                todo.append(found.module.removeprefix("kdcli."))
            else:
                others.add(found.module.split(".")[0])
    return others


@pytest.mark.parametrize("name", LIGHT)
def test_light_modules_import_nothing_heavy(name: str) -> None:
    allowed = {"scipy"} if name == "metrics" else set()
    assert _at_start(name) & HEAVY <= allowed


def test_what_is_called_heavy_is_found_where_it_is() -> None:
    assert "torch" in _at_start("commands.train")
    assert "accelerate" in _at_start("training")


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_file_says_what_it_is(name: str) -> None:
    assert ast.get_docstring(ast.parse(MODULES[name].read_text("utf-8")))


@pytest.mark.parametrize("name", sorted(MODULES))
def test_public_functions_and_classes_say_what_they_are(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text("utf-8"))
    drawn = ast.get_docstring(tree) or ""  # the tree of errors is drawn once, above them all
    bare = [
        f"line {node.lineno}: {node.name}"
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
        and node.name not in drawn
    ]
    assert not bare


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_file_is_long(name: str) -> None:
    assert len(MODULES[name].read_text("utf-8").splitlines()) <= LONGEST
