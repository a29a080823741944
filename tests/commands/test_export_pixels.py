"""`kd export --input pixels`, `--resize`, `--batch`: fed by what the file itself says."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from house import House, kd, kd_ok, save_untrained
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import center_crop, resize

from kdcli.core.latency import latency
from kdcli.data.images import fit
from kdcli.data.open import open_source
from kdcli.deploy import cost_comparison, onnx_files
from kdcli.deploy.onnx_file.write import export_onnx
from kdcli.deploy.parity import FP32, RESIZED
from kdcli.models.checkpoint import load_model, save_model
from kdcli.models.loading import load
from kdcli.models.tap import Tap

Images = list[np.ndarray]


@pytest.fixture(autouse=True)
def _in_no_time(finished_once: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody but the student is exported; but for a batch that never changes, its file is there."""
    ready = finished_once.student / "export" / "model.onnx"

    def write(module: torch.nn.Module, path: Path, **options: Any) -> None:
        if options["batch"] is None:
            shutil.copy(ready, path)
        else:
            export_onnx(module, path, **options)

    monkeypatch.setattr(onnx_files, "export_onnx", write)
    monkeypatch.setattr(
        cost_comparison, "export_onnx", lambda _, path, **kw: shutil.copy(ready, path)
    )


@pytest.fixture(scope="session")
def digits() -> Images:
    """Every fourth test image of digits, as it is stored."""
    test = open_source("digits").test
    return [test.read(i) for i in range(0, len(test), 4)]


def ask(path: Path, images: Images) -> np.ndarray:
    """Answers to images of any size, by the file and what it says; no word of kd."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    said = session.get_modelmeta().custom_metadata_map
    size, batch = int(said["kd.image_size"]), said["kd.batch"]
    if said["kd.resize"] == "0":
        images = [cut(image, size) for image in images]
    if said["kd.input_kind"] == "tensor":
        images = [normalise(image, said) for image in images]
    name = session.get_inputs()[0].name
    count = 1 if batch == "any" else int(batch)
    answers = [
        session.run([said["kd.output"]], {name: np.stack([image] * count)})[0][0]
        for image in images
    ]
    return np.stack(answers)


def cut(image: np.ndarray, size: int) -> np.ndarray:
    """By torchvision, of the whole square."""
    whole = resize(Image.fromarray(image), [size], InterpolationMode.BICUBIC)
    return np.asarray(center_crop(whole, [size]))


def normalise(image: np.ndarray, said: dict[str, str]) -> np.ndarray:
    mean, std = (np.array(json.loads(said[f"kd.{key}"])) for key in ("mean", "std"))
    ready = torch.from_numpy((image / 255).transpose(2, 0, 1)[None])
    if said["kd.image_size"] != said["kd.input_size"]:
        to = int(said["kd.input_size"])
        ready = F.interpolate(ready, size=(to, to), mode="bicubic", antialias=True).clamp(0, 1)
    normalised = (ready[0].numpy() - mean[:, None, None]) / std[:, None, None]
    return normalised.astype(np.float32)


def of_pytorch(model: Path, images: Images, image_size: int) -> np.ndarray:
    """Probabilities of the model.pt, fed by Pillow."""
    student = load(model)
    tap = Tap(student.module.eval(), student.args, "")
    squares = np.stack([fit(image, image_size) for image in images])
    with torch.no_grad():
        ready = tap.prepare(torch.from_numpy(squares).permute(0, 3, 1, 2).float() / 255)
        logits: torch.Tensor = student.module(ready)
    return logits.double().softmax(1).numpy()


def entry_of(folder: Path, name: str = "report.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / name).read_text("utf-8"))["exports"][-1]
    return found


def shapes(path: Path) -> list[list[int | str]]:
    """Of all that the file names a shape of."""
    graph = onnx.load(path).graph
    return [
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output, *graph.value_info)
    ]


PIXELS = ("--input", "pixels")


# What a file is fed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "tolerance"),
    [((), FP32.absolute), (PIXELS, FP32.absolute), ((*PIXELS, "--resize"), RESIZED)],
)
def test_the_file_says_how_it_is_fed(
    flags: tuple[str, ...], tolerance: float, finished: House, digits: Images
) -> None:
    kd_ok("export", finished.student, *flags)
    answers = ask(finished.student / "export" / "model.onnx", digits)
    with np.load(finished.student / "predictions.npz") as kept:
        logits = kept["student"][0][::4]
    expected = F.softmax(torch.from_numpy(logits).double(), 1).numpy() if flags else logits
    np.testing.assert_allclose(answers, expected, atol=tolerance)
    assert (answers.argmax(1) == expected.argmax(1)).mean() > 0.99
    entry = entry_of(finished.student)
    assert (entry["input"], entry["batch"]) == ("pixels" if flags else "tensor", None)
    assert entry["resize"] == ("--resize" in flags)
    assert entry["parity"]["tolerance"] == tolerance
    assert entry["parity"]["images"] == 540
    assert entry["accuracy"] == pytest.approx(_accuracy(finished), abs=0.005)


def _accuracy(house: House) -> float:
    """Of the student, as evaluate measured it."""
    report = json.loads((house.student / "report.json").read_text("utf-8"))
    return float(report["models"]["student"]["accuracy"])


def test_images_of_any_size(finished: House) -> None:
    """A photograph of odd size, fed as it is."""
    answer = kd_ok("export", finished.student, *PIXELS, "--resize")
    assert "uint8 pixels in, probabilities out, images of any size" in answer.out
    photographs = [image[: 301 - 8 * i, : 203 + 70 * i] for i, image in enumerate(PHOTOGRAPHS)]
    answers = ask(finished.student / "export" / "model.onnx", photographs)
    expected = of_pytorch(finished.student / "model.pt", photographs, 32)
    np.testing.assert_allclose(answers, expected, atol=RESIZED)
    assert "Uint8 pixels in" in (finished.student / "report.md").read_text("utf-8")


PHOTOGRAPHS = load_sample_images().images


@pytest.mark.slow
def test_pixels_of_another_size_than_the_models(tmp_path: Path) -> None:
    """A model.pt that lies alone knows at which size its run cut images; its file resizes twice."""
    model = save_untrained(tmp_path / "alone.pt", ("cat", "dog"))
    file = load_model(model)
    save_model(replace(file, recipe={"data": {"image_size": 48}}), model)
    path = tmp_path / "alone-export" / "alone.onnx"
    expected = of_pytorch(model, PHOTOGRAPHS, 48)
    for flags in ((), PIXELS, (*PIXELS, "--resize")):
        kd_ok("export", model, "--batch", "2", *flags)
        answers = ask(path, PHOTOGRAPHS)
        found = answers if flags else F.softmax(torch.from_numpy(answers), 1).numpy()
        np.testing.assert_allclose(found, expected, atol=RESIZED if "--resize" in flags else 1e-5)
        said = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
        assert (said["kd.image_size"], said["kd.input_size"]) == ("48", "32")
    assert entry_of(tmp_path, "alone.report.json")["parity"]["synthetic"]


def test_inspect_tells(finished: House) -> None:
    kd_ok("export", finished.student, *PIXELS)
    shown = kd_ok("inspect", finished.student / "export" / "model.onnx").out
    assert "pixels: uint8 (batch, 32, 32, 3)" in shown
    assert "probabilities: float32 (batch, 10)" in shown
    for key, value in (("input_kind", "pixels"), ("image_size", "32"), ("batch", "any")):
        assert re.search(rf"kd\.{key}\W+{value}\W*$", shown, re.MULTILINE), key


# A batch that never changes -----------------------------------------------------------------------


@pytest.mark.parametrize(("batch", "flags"), [(1, ()), (3, PIXELS)])
@pytest.mark.slow
def test_static_shapes(batch: int, flags: tuple[str, ...], finished: House, digits: Images) -> None:
    answer = kd_ok("export", finished.student, "--batch", str(batch), *flags)
    assert f"always {batch} image" in answer.out
    path = finished.student / "export" / "model.onnx"
    assert all(isinstance(side, int) for shape in shapes(path) for side in shape)
    assert shapes(path)[0][0] == batch
    entry = entry_of(finished.student)
    assert (entry["batch"], entry["parity"]["images"]) == (batch, 540)
    few = digits[:9]
    answers = ask(path, few)
    expected = of_pytorch(finished.student / "model.pt", few, 32)
    found = answers if flags else F.softmax(torch.from_numpy(answers), 1).numpy()
    np.testing.assert_allclose(found, expected, atol=FP32.absolute)


def test_the_time_of_a_batch_is_shared(finished: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of files; PyTorch is asked about one image."""
    plain = latency

    def a_second(calls: dict[Any, Callable[[], object]], **_: Any) -> dict[Any, Any]:
        found = plain(calls, min_runs=1, max_runs=1)
        return {name: replace(time, p50=1000.0, p90=2000.0) for name, time in found.items()}

    monkeypatch.setattr(cost_comparison, "latency", a_second)
    monkeypatch.setattr(onnx_files, "export_onnx", cost_comparison.export_onnx)
    document = kd_ok("export", finished.student, "--batch", "4", "--json").document
    for part in document["models"].values():
        assert part["latency_ms"]["onnxruntime"].items() >= {"p50": 250.0, "p90": 500.0}.items()
        assert part["latency_ms"]["pytorch"].items() >= {"p50": 1000.0, "p90": 2000.0}.items()
    assert document["exports"][0]["latency_ms"].items() >= {"p50": 250.0, "p90": 500.0}.items()


# Refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--resize",), "--resize is for a file that takes pixels"),
        (("--resize", "--input", "tensor"), "--input pixels --resize"),
        (("--batch", "0"), "--batch"),
        (("--input", "jpeg"), "--input"),
    ],
)
def test_refused_before_anything_is_done(
    flags: tuple[str, ...], words: str, distilled: House
) -> None:
    answer = kd("export", distilled.student, *flags)
    assert answer.code == 2
    assert words in answer.err
    assert not (distilled.student / "export").exists()


@pytest.mark.parametrize("flags", [PIXELS, (*PIXELS, "--resize")])
def test_a_file_that_disagrees_is_not_kept(flags: tuple[str, ...], distilled: House) -> None:
    """What is written for the teacher is the student."""
    answer = kd("export", distilled.teacher, *flags)
    assert answer.code == 8
    assert "disagrees with PyTorch" in answer.err
    assert not (distilled.teacher / "export").exists()
