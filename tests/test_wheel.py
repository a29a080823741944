"""The wheel, built without a network, works from where it is unpacked."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built in a copy of the tree."""
    pytest.importorskip("hatchling")
    tree = tmp_path_factory.mktemp("tree")
    for name in ("kdcli", "recipes"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(build, cwd=tree, check=True, capture_output=True, timeout=120)
    (built,) = (tree / "dist").glob("*.whl")
    return built


def test_it_holds_recipes_types_and_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {f"kdcli/recipe/shipped/{file.name}" for file in (ROOT / "recipes").glob("*.yaml")}
    assert shipped == {name for name in names if name.endswith(".yaml")}
    assert "kdcli/py.typed" in names
    sources = {f.relative_to(ROOT).as_posix() for f in (ROOT / "kdcli").rglob("*.py")}
    assert sources <= names
    assert {
        f"kdcli/report/page/{name}" for name in ("page.css", "plots.css", "page.html.jinja")
    } <= names
    assert not [n for n in names if n.startswith(("tests/", "docs/", "recipes/", "benchmarks/"))]
    assert any(n.endswith("LICENSE") for n in names)
    (entry,) = [n for n in names if n.endswith("entry_points.txt")]
    assert b"kd = kdcli.__main__:main" in zipfile.ZipFile(wheel).read(entry)


def test_recipes_are_found_in_it(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    script = (
        "from kdcli.recipe.load import recipe_folder; print(recipe_folder())\n"
        "from kdcli.cli import main; raise SystemExit(main(['list', 'recipes', '--json']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    folder, _, listed = done.stdout.partition("\n")
    assert Path(folder) == tmp_path / "site" / "kdcli" / "recipe" / "shipped"
    assert '"kd"' in listed
    assert '"supervised"' in listed


def test_recipes_are_found_in_a_checkout() -> None:
    from kdcli.recipe.load import recipe_folder

    assert recipe_folder() == ROOT / "recipes"
