"""Pages that quote the source quote it as it is."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colours import BLUE, GREEN, pixels_file, tensor_file
from PIL import Image

from kdcli.core import registry
from kdcli.data.decoding import Decoding
from kdcli.recipe.load import recipe_names
from kdcli.recipe.schema import Recipe

ROOT = Path(__file__).parent.parent
QUOTED = ("kdcli/methods/at.py", "tests/methods/test_at.py")
"""Files that CONTRIBUTING.md shows, each behind a link to it."""


@pytest.mark.parametrize("file", QUOTED)
def test_the_example_of_a_method_is_the_real_one(file: str) -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    _, _, behind = page.partition(f"]({file})")
    (quoted,) = re.findall(r"```python\n(.*?)```", behind, re.DOTALL)[:1]
    assert quoted in (ROOT / file).read_text("utf-8")


@pytest.mark.parametrize("kind", ["tensor", "pixels", "any size"])
def test_the_script_without_kd_runs(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A photograph that lies on its side."""
    page = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    _, _, behind = page.partition("### From Python")
    script, *_ = re.findall(r"```python\n(.*?)```", behind, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter to the right
    Image.fromarray(np.vstack([GREEN, GREEN, BLUE])).save("photo.jpg", exif=turned, quality=100)
    told = {
        **Decoding().as_texts(),
        "kd.image_size": "8",
        "kd.crop_pct": "0.9",
        "kd.resize": str(int(kind == "any size")),
    }
    if kind == "tensor":
        known = {"kd.input_kind": "tensor", "kd.output": "logits"}
        tensor_file(Path("model.onnx"), **told, **known)
    else:
        pixels_file(Path("model.onnx"), size="height" if kind == "any size" else 8, **told)
    found: dict[str, Any] = {}
    exec(script, found)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0][1] == "green"
    assert len(rows) == 3
    assert abs(sum(float(share) for share, _ in rows) - 1) < 0.01
    shapes = {"tensor": (3, 8, 8), "pixels": (8, 8, 3), "any size": (8, 24, 3)}
    assert found["ready"].shape == shapes[kind], "turned"


every_page = pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda page: page.name
)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]


@every_page
def test_recipes_that_are_named_are_shipped(page: Path) -> None:
    named = re.findall(r"--recipe ([\w./-]+)", page.read_text("utf-8"))
    assert not [name for name in named if name not in recipe_names() and "." not in name]


@every_page
def test_what_is_counted_is_counted_right(page: Path) -> None:
    found = {"methods": registry.names("methods"), "schemes": registry.names("schemes")}
    found |= {"recipes": recipe_names()}
    counts = re.findall(r"(\d+) (methods|schemes|recipes)\b", page.read_text("utf-8"))
    assert not [(n, kind) for n, kind in counts if int(n) != len(found[kind])]


# What CONTRIBUTING shows as diffs -----------------------------------------------------------------

DIFFS = sorted(ROOT.glob("docs/examples/*.diff"))


def _apply(tree: Path, diff: Path, *options: str) -> None:
    if not shutil.which("git"):
        pytest.skip("no git here")
    command = ["git", "apply", "-C1", *options, diff]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"renew {diff.name}, its surroundings have changed: {done.stderr}"


@pytest.mark.parametrize("diff", DIFFS, ids=lambda diff: diff.stem)
def test_a_diff_fits(diff: Path) -> None:
    _apply(ROOT, diff, "--check")


@pytest.mark.slow
def test_the_diffs_do_what_they_say(tmp_path: Path) -> None:
    for name in ("kdcli", "recipes", "tests", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for diff in DIFFS:
        _apply(tmp_path, diff)
    tests = re.findall(
        r"^\+\+\+ b/(tests/.*)$", "".join(d.read_text() for d in DIFFS), re.MULTILINE
    )
    assert len(tests) == len(DIFFS)
    for command in (["pytest", "-p", "no:cacheprovider", *tests], ["ruff", "check", "--no-cache"]):
        subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            check=True,
            timeout=600,
        )


def test_every_recipe_key_is_told_of() -> None:
    """In docs/recipes.md (of `match.augment` in docs/methods.md), by its last word."""
    pages = [(ROOT / "docs" / name).read_text("utf-8") for name in ("recipes.md", "methods.md")]
    schema = Recipe.model_json_schema(by_alias=True)
    records = [schema, *schema["$defs"].values()]
    keys = {key for record in records for key in record.get("properties", {})}
    untold = sorted(keys - set(re.findall(r"\w+", "".join(pages))))
    assert not untold


def test_every_benchmark_gives_its_figures_as_json() -> None:
    scripts = {p.name: p.read_text("utf-8") for p in (ROOT / "benchmarks").glob("*.py")}
    lacking = [name for name, text in scripts.items() if 'if __name__ == "__main__"' in text]
    has_the_flag = re.compile(r"\b(add_json|asked_study)\(")
    lacking = [
        n for n in lacking if "show(" not in scripts[n] or not has_the_flag.search(scripts[n])
    ]
    assert not lacking


def test_the_fault_matrix_names_tests_that_are_there() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    rows = [line.split("|") for line in page.splitlines() if re.match(r"\| \d", line)]
    numbers = [int(number) for row in rows for number in row[1].split(",")]
    assert numbers == list(range(1, 51))
    for row in rows:
        assert "`tests/" in row[4], row[1]
    for file, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page):
        source = (ROOT / file).read_text("utf-8")
        assert not name or f"def {name}(" in source, f"{file}::{name}"
