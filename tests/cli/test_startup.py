"""What answers at once imports nothing heavy; by the list of modules, since timings lie."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from colours import RED, tensor_file
from PIL import Image

HEAVY = {"torch", "torchvision", "timm", "onnx", "onnxruntime", "sklearn", "scipy", "accelerate"}

SCRIPT = """
import json, sys
{work}
print("\\n" + json.dumps(sorted({{name.split(".")[0] for name in sys.modules}})))
"""


def _imported(work: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(work=work)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["distill", "--help"], ["list", "models", "--help"], ["list", "recipes"]],
    ids=" ".join,
)
def test_quick_answers_import_nothing_heavy(arguments: list[str]) -> None:
    imported = _imported(f"from kdcli.cli import main\nassert main({arguments!r}) == 0")
    assert "kdcli" in imported
    assert not imported & HEAVY


def test_predicting_imports_no_torch(tmp_path: Path) -> None:
    model = tensor_file(tmp_path / "model.onnx")
    Image.fromarray(RED).save(tmp_path / "red.png")
    arguments = ["predict", str(model), str(tmp_path), "--json"]
    imported = _imported(f"from kdcli.cli import main\nassert main({arguments!r}) == 0")
    assert "onnxruntime" in imported
    assert not imported & (HEAVY - {"onnx", "onnxruntime"})


def test_importing_the_package_imports_nothing_else() -> None:
    imported = _imported("import kdcli")
    assert not imported & {*HEAVY, "numpy", "pydantic", "typer", "rich", "yaml", "PIL"}
