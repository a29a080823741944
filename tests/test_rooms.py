"""The rooms of the house: who may import whom, what is light, where each library lives."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kdcli

PACKAGE = Path(kdcli.__file__).parent
ROOMS = (
    ("core",),
    ("recipe",),
    ("runs",),
    ("report",),
    ("data", "models", "methods"),  # one floor: never each other
    ("schemes",),
    ("evaluation",),
    ("training",),
    ("deploy",),
    ("plan",),
    ("jobs",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
"""From the ground up. A room imports from its own and from lower floors."""
NARROWER = {
    "data": {"core", "recipe", "runs"},
    "models": {"core", "recipe", "runs"},
    "methods": {"core"},
    "schemes": {"core", "models"},
}
"""Rooms that may import less than all that is below."""
HOMES = {
    "rich": "cli/console",
    "jinja2": "report/page/page",
    "markupsafe": "report/page/",
    "typer": "cli/",
    "psutil": "core/machine",
    "yaml": "recipe/safe_yaml",
    "accelerate": "training/devices",
    "onnx": "deploy/onnx_file/",
    "onnxscript": "deploy/onnx_file/",
    "onnxruntime": "deploy/onnx_file/ deploy/device/",
    "scipy": "evaluation/",
    "sklearn": "data/",
    "datasets": "data/",
    "torchvision": "data/",
    "submitit": "jobs/slurm",
    "timm": "models/ data/ training/optimizer training/stepper",
}
"""Where each library may be imported."""
HEAVY = (
    *("torch", "torchvision", "timm", "accelerate"),
    *("onnx", "onnxruntime", "scipy", "sklearn", "datasets"),
)
LIGHT = (
    *("core", "recipe", "runs", "report", "cli"),
    *("data.images", "data.workers", "data.open", "data.threads", "data.survey"),
    *("evaluation.intervals", "evaluation.metrics", "evaluation.nearness", "evaluation.per_class"),
    *("evaluation.significance", "evaluation.temperature", "commands.predict"),
    *("models.families", "deploy.onnx_file.feeding", "deploy.onnx_file.session", "deploy.result"),
)
"""Importing these, every file of a room, brings in nothing heavy."""
LIGHT_BUT = {"core.functional", "core.layers", "core.undefined_losses"}
LONGEST, FULLEST = 300, 36
"""Lines of a file, files of a room."""

FILES = {str(f.relative_to(PACKAGE)).removesuffix(".py"): f for f in PACKAGE.rglob("*.py")}


def imports_of(file: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of whatever is imported anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: imports are absolute here"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def floor(room: str) -> int:
    return next(i for i, rooms in enumerate(ROOMS) if room in rooms)


def test_there_are_these_rooms_and_no_loose_files() -> None:
    found = {name.split("/")[0] for name in FILES} - {"__init__"}
    assert found == {room for rooms in ROOMS for room in rooms}


def test_rooms_import_downwards_only() -> None:
    wrong = []
    for name, file in FILES.items():
        room = name.split("/")[0]
        for line, imported in imports_of(file):
            top, _, rest = imported.partition(".")
            other = rest.split(".")[0]
            if top != "kdcli" or other in (room, "__version__"):
                continue
            below = NARROWER.get(room) or {r for rs in ROOMS[: floor(room)] for r in rs}
            if room == "__init__" or other not in below:
                wrong.append(f"{name}:{line} imports {imported}; may: {', '.join(sorted(below))}")
    assert not wrong


def test_what_is_private_stays_in_its_file() -> None:
    strays = [
        f"{name}:{line} imports {imported}"
        for name, file in FILES.items()
        for line, imported in imports_of(file)
        if imported.startswith("kdcli.") and imported.rpartition(".")[2].startswith("_")
    ]
    assert not [stray for stray in strays if not stray.endswith("__version__")]


def test_libraries_live_where_their_homes_are() -> None:
    strays = [
        f"{name}:{line} imports {imported}, at home in {home}"
        for name, file in FILES.items()
        for line, imported in imports_of(file)
        for home in [HOMES.get(imported.split(".")[0])]
        if home and not any(name.startswith(place) for place in home.split())
    ]
    assert not strays


def test_light_rooms_bring_in_nothing_heavy() -> None:
    """Asked in a fresh process; what runs inside functions only is not looked at."""
    modules = [name.replace("/", ".").removesuffix(".__init__") for name in sorted(FILES)]
    light = [m for m in modules if m.startswith(LIGHT) and m not in LIGHT_BUT]
    assert len(light) > 60
    script = (
        f"import importlib, sys\nfor name in {light}:\n"
        "    importlib.import_module('kdcli.' + name)\n"
        f"    heavy = [h for h in {HEAVY} if h in sys.modules]\n"
        "    assert not heavy, (name, heavy)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_is_short_and_says_what_it_is(name: str) -> None:
    text = FILES[name].read_text("utf-8")
    tree = ast.parse(text)
    drawn = ast.get_docstring(tree) or ""  # the tree of errors is drawn once, above them all
    assert drawn
    assert len(text.splitlines()) <= LONGEST
    bare = [
        f"line {node.lineno}: {node.name}"
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
        and node.name not in drawn
    ]
    assert not bare


def test_no_room_is_full() -> None:
    folders = [f.parent for f in FILES.values()]
    assert max(map(folders.count, folders)) <= FULLEST
