"""bench.py as it lies on a device: numpy and onnxruntime are there, and nothing of kd."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from kdcli.core.progress import Silent
from kdcli.deploy.cost_comparison import peak_memory
from kdcli.deploy.device import BENCH
from kdcli.deploy.device import bench as script

NAMES = ("fixed.onnx", "pixels.onnx", "tensor.onnx")


def save(path: Path, dtype: int, shape: tuple[int | str, ...], **metadata: str) -> Path:
    """The mean of an image."""
    nodes = [
        helper.make_node("Cast", ["images"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x"], ["y"], keepdims=0),
    ]
    takes = helper.make_tensor_value_info("images", dtype, shape)
    gives = helper.make_tensor_value_info("y", TensorProto.FLOAT, [])
    graph = helper.make_graph(nodes, "g", [takes], [gives])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the copy there, with torch, onnx and kdcli out of reach."""
    blocked = folder / "blocked"
    blocked.mkdir(exist_ok=True)
    for name in ("torch", "onnx", "kdcli"):
        (blocked / f"{name}.py").write_text("raise ImportError(__name__)")
    return subprocess.run(
        [sys.executable, str(folder / "bench.py"), *arguments, "--seconds", "0"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(blocked)},
        timeout=300,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As it is copied: three models, and the script beside them."""
    there = tmp_path_factory.mktemp("on the device")
    shutil.copy(BENCH, there)
    save(there / "tensor.onnx", TensorProto.FLOAT, ("batch", 3, 8, 8))
    save(there / "fixed.onnx", TensorProto.FLOAT, (4, 3, 8, 8))
    sides = {"kd.image_size": "16"}
    save(there / "pixels.onnx", TensorProto.UINT8, ("batch", "h", "w", 3), **sides)
    return there


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    done = bench(folder, "--threads", "2")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_it_says_where_it_ran(found: dict[str, Any]) -> None:
    assert found["schema"] == 1
    assert found["threads"] == 2
    for key in ("device", "system", "onnxruntime", "python"):
        assert found[key].strip() == found[key] != ""


def test_every_model_beside_it_is_measured(found: dict[str, Any], folder: Path) -> None:
    assert tuple(model["file"] for model in found["models"]) == NAMES
    for model in found["models"]:
        content = (folder / model["file"]).read_bytes()
        assert model["sha256"] == hashlib.sha256(content).hexdigest()
        assert model["bytes"] == len(content)
        assert 0 < model["p50"] <= model["p90"] <= model["p99"]
        assert model["cold"] > 0
        assert model["load_seconds"] > 0
        assert model["runs"] >= 6
        assert model["peak_memory_bytes"] is None or model["peak_memory_bytes"] > 0


@pytest.mark.parametrize(("file", "milliseconds"), [("fixed", 250), ("tensor", 1000)])
def test_times_are_of_one_image(
    file: str, milliseconds: float, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call takes a second, of a file that takes four images at a time, too."""
    monkeypatch.setattr(script, "perf_counter", partial(next, count()))
    found = script.measure(folder / f"{file}.onnx", 1, 0.0)
    assert [found[key] for key in ("cold", "p50", "p90", "p99")] == [milliseconds] * 4


@pytest.mark.parametrize(("side", "fed"), [(0, 16), (40, 40)])
def test_a_file_that_takes_any_size_is_fed_its_own_or_what_is_asked_for(
    side: int, fed: int, folder: Path
) -> None:
    """And says so: files that were fed with images of two sizes cannot be compared."""
    assert script.measure(folder / "pixels.onnx", 1, 0.0, side)["fed"] == [1, fed, fed, 3]
    assert script.measure(folder / "tensor.onnx", 1, 0.0, side)["fed"] == [1, 3, 8, 8]


def test_what_is_no_model_ends_in_an_error(folder: Path) -> None:
    done = bench(folder, str(folder / "nowhere.onnx"))
    assert done.returncode != 0
    assert done.stdout == ""
    assert "nowhere.onnx" in done.stderr


def test_it_is_short_enough_to_be_read() -> None:
    lines = BENCH.read_text("utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 60


def test_a_larger_model_takes_more_memory(tmp_path: Path) -> None:
    """64 MB more of images, on a processor that says what it takes."""
    paths = [
        save(tmp_path / f"{side}.onnx", TensorProto.UINT8, (1, side, side, 3)) for side in (8, 2300)
    ]
    small, large = (peak_memory(path, 1, Silent()) for path in paths)
    assert (small is None) == (large is None)
    assert small is None or large is None or large > small + 60e6
