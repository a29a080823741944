"""docs/ci.md: its job files are files, and their lines do what the page says."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```yaml\n# (\S+)\n(.*?)```", (ROOT / "docs/ci.md").read_text(), re.DOTALL)
FILES = dict(BLOCKS)
"""By their place in the repository."""
GITHUB = ".github/workflows/{}.yml"


def lines_of(name: str) -> list[tuple[dict[str, str], str]]:
    """The environment and each `run:` of a workflow of one job."""
    (job,) = yaml.safe_load(FILES[GITHUB.format(name)])["jobs"].values()
    return [(job["env"], step["run"]) for step in job["steps"] if "run" in step]


def test_gitlab_runs_the_same_lines_as_github() -> None:
    found = yaml.safe_load(FILES[".gitlab-ci.yml"])
    before = found["default"]["before_script"]
    for name, job in (("model", "gate"), ("nightly", "nightly")):
        theirs = [line.strip() for _, line in lines_of(name)]
        assert [line.strip() for line in [*before, *found[job]["script"]]] == theirs
        assert found[job]["artifacts"]["reports"] == {"junit": "reports/gates.xml"}


def test_a_job_keeps_its_runs_and_reports() -> None:
    (job,) = yaml.safe_load(FILES[GITHUB.format("nightly")])["jobs"].values()
    uses = {step["uses"].partition("@")[0]: step for step in job["steps"] if "uses" in step}
    for kept in ("actions/cache/save", "actions/upload-artifact"):
        assert uses[kept]["if"] == "always()"
    assert uses["actions/cache/restore"]["with"]["path"] == job["env"]["KD_RUNS"]


@pytest.fixture(scope="module")
def kd_there(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment of Python's own with nothing of this checkout: a wheel, and what it needs from
    the one that runs the tests."""
    pytest.importorskip("hatchling")
    pytest.importorskip("ensurepip")
    tree = tmp_path_factory.mktemp("tree")
    for name in ("kdcli", "recipes"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(build, cwd=tree, check=True, capture_output=True, timeout=300)
    (wheel,) = (tree / "dist").glob("*.whl")
    place = tmp_path_factory.mktemp("python")
    venv.create(place, with_pip=True)
    site = sysconfig.get_path("purelib", vars={"base": str(place)})
    Path(site, "needs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return own | {"KD": str(wheel), "PATH": f"{place / 'bin'}:{os.environ['PATH']}"}


def _repository(folder: Path) -> None:
    """The digits as PNG files, the page's recipe, no model yet."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    test = np.random.default_rng(0).permutation(len(digits.target)) < 540
    for i, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        place = folder / "data" / ("test" if test[i] else "train") / f"digit {label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15).astype("uint8")).save(place / f"{i:04d}.png")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def _run(script: str, folder: Path, env: dict[str, str]) -> float:
    """As GitHub does; the minutes."""
    start = time.monotonic()
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return (time.monotonic() - start) / 60


def _job(name: str, folder: Path, env: dict[str, str], **more: str) -> float:
    minutes = 0.0
    for own, script in lines_of(name):
        known = {key: value for key, value in own.items() if key not in ("KD", *OF_A_NETWORK)}
        minutes += _run(script, folder, env | known | more)
    return minutes


OF_A_NETWORK = ("PIP_EXTRA_INDEX_URL",)


@pytest.mark.slow
def test_both_pipelines_do_what_the_page_says(kd_there: dict[str, str], tmp_path: Path) -> None:
    """The release is of another seed; then a first night, a second one, and a push."""
    _repository(tmp_path)
    places = {"KD_RUNS": "runs", "KD_CACHE": str(tmp_path / ".cache")}
    env = kd_there | places | {"KD_THREADS": "1"}
    _run('pip install "$KD"', tmp_path, env)
    by_hand = "kd distill --recipe ci/student.yaml --seed 1 --json > made.json && kd export --json"
    _run(f"{by_hand} > /dev/null && mkdir release model", tmp_path, env)
    file = Path(json.loads((tmp_path / "made.json").read_text())["run"], "export", "model.onnx")
    shutil.copy(tmp_path / file, tmp_path / "release")
    shutil.rmtree(tmp_path / "runs")

    first = _job("nightly", tmp_path, env)
    gates = json.loads((tmp_path / "reports" / "evaluate.json").read_text())["gates"]
    assert len(gates) == 3
    shutil.copy(tmp_path / "reports" / "export" / "model.onnx", tmp_path / "model")
    second = _job("nightly", tmp_path, env)
    assert json.loads((tmp_path / "reports" / "distill.json").read_text())["reused"]

    shown = tmp_path / "summary.md"
    push = _job("model", tmp_path, env, GITHUB_STEP_SUMMARY=str(shown))
    page = (tmp_path / "reports" / "summary.md").read_text()
    assert page.startswith("### 6 of 6 gates passed")
    assert shown.read_text().strip() == page.strip()
    suite = ElementTree.parse(tmp_path / "reports" / "gates.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("6", "0")
    print(f"minutes: first night {first:.1f}, second {second:.1f}, push {push:.1f}")


def test_the_files_parse() -> None:
    named = {"ci/student.yaml", ".gitlab-ci.yml", *map(GITHUB.format, ("model", "nightly"))}
    assert set(FILES) == named
    parsed: dict[str, Any] = {name: yaml.safe_load(text) for name, text in FILES.items()}
    assert all(parsed.values())
