"""timm's tiny models as ONNX files: what benchmarks/timm_exports.py tries on one of each module."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "timm_exports.py"
TINY = timm.list_models("test_*")
PIXELS = 64


@pytest.fixture(scope="module")
def timm_exports() -> Iterator[Any]:
    if not SCRIPT.is_file():
        pytest.skip("benchmarks are not shipped with the sources")
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[SCRIPT.stem] = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)  # as Python does for a script
        spec.loader.exec_module(module)
        yield module


def test_how_many_there_are() -> None:
    """timm 1.0.28 to 1.0.31 have 18; a later one may add to them."""
    assert len(TINY) >= 18
    assert {"test_resnet", "test_vit", "test_efficientnet", "test_maxvit"} <= set(TINY)


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_a_tiny_model_exports(name: str, timm_exports: Any, tmp_path: Path) -> None:
    args, opset, apart, _, spread = timm_exports.try_model(name, tmp_path, PIXELS)
    assert args.name == name
    assert opset >= 18
    assert apart <= 1e-3
    assert spread > 1e-2, "answers that hardly differ show nothing"


def test_a_module_that_fails_is_told_with_its_reason(
    timm_exports: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on behind it: each has a process of its own."""

    def fail(name: str, folder: Path) -> None:
        raise ValueError("no such operator")

    monkeypatch.setattr(timm_exports, "smallest", lambda module: ("test_resnet", 1))
    monkeypatch.setattr(timm_exports, "try_model", fail)
    found = timm_exports.within_limits("resnet")
    assert (found.module, found.model) == ("resnet", "test_resnet")
    assert found.why_not == "ValueError: no such operator"
