"""`kd predict`: what an exported file sees, in any kind of file, and what it says of the rest."""

import io
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from colours import BLUE, COLOURS, GREEN, RED, SIZE, noise, pixels_file, tensor_file
from house import House, kd, kd_ok
from numpy.typing import NDArray
from PIL import Image

from kdcli.cli.console import Console
from kdcli.cli.predict import show_predicted
from kdcli.commands.predict import predict
from kdcli.core.progress import Silent
from kdcli.data.open import open_source
from kdcli.data.store import open_store
from kdcli.deploy.onnx_file.feeding import TOGETHER, Feeding, feeding_of


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tensor_file(tmp_path / "model.onnx")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """b.png, deep/a.jpg and deep/er/c.PNG, in this order; and what is no image."""
    place = tmp_path / "pictures"
    (place / "deep" / "er").mkdir(parents=True)
    for name, pixels in (("b.png", RED), ("deep/a.jpg", GREEN), ("deep/er/c.PNG", BLUE)):
        Image.fromarray(pixels).save(place / name)
    (place / "notes.txt").write_text("no image")
    (place / ".hidden.png").write_text("no image either")
    return place


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def seen(*arguments: str | Path) -> dict[str, str]:
    """Image -> its likeliest class."""
    found = kd_ok("predict", *arguments, "--json").document["predictions"]
    return {Path(one["image"]).name: one["top"][0]["class"] for one in found}


# What is answered --------------------------------------------------------------------------------


def test_a_folder_a_file_and_a_pattern(model: Path, folder: Path, tmp_path: Path) -> None:
    in_order = {"b.png": "red", "a.jpg": "green", "c.PNG": "blue"}
    assert seen(model, folder) == in_order
    assert list(seen(model, folder)) == list(in_order)
    assert seen(model, folder / "b.png") == {"b.png": "red"}
    assert seen(model, folder / "*" / "*.jpg") == {"a.jpg": "green"}
    assert seen(model, tmp_path / "pict*") == in_order
    assert seen(model, folder / "**" / "*.PNG", folder) == {"c.PNG": "blue", **in_order}


def test_probabilities_are_those_of_the_logits(model: Path, tmp_path: Path) -> None:
    pixels = noise(SIZE, SIZE)
    found = kd_ok("predict", model, save(tmp_path / "x.png", pixels), "--json").document
    logits = ((pixels / 255 - [0.5, 0.4, 0.3]) / 0.2).mean((0, 1))
    expected = np.exp(logits) / np.exp(logits).sum()
    (one,) = found["predictions"]
    assert {g["class"]: pytest.approx(g["probability"], abs=1e-6) for g in one["top"]} == dict(
        zip(COLOURS, expected, strict=True)
    )
    likely = [guess["probability"] for guess in one["top"]]
    assert likely == sorted(likely, reverse=True)
    assert (found["model"], found["skipped"], found["schema"]) == (str(model), [], 1)


@pytest.mark.parametrize("batch", ["batch", 7])
def test_many_images_go_in_batches(batch: int | str, tmp_path: Path) -> None:
    model = tensor_file(tmp_path / "model.onnx", batch=batch)
    (tmp_path / "many").mkdir()
    kinds = [(RED, GREEN, BLUE)[i % 3] for i in range(TOGETHER + 2)]
    for i, pixels in enumerate(kinds):
        save(tmp_path / "many" / f"{i:02}.png", pixels)
    found = seen(model, tmp_path / "many", "--threads", "1")
    assert list(found.values()) == [COLOURS[i % 3] for i in range(TOGETHER + 2)]


def test_a_file_that_takes_pixels(tmp_path: Path, folder: Path) -> None:
    model = pixels_file(tmp_path / "model.onnx")
    assert seen(model, folder) == {"b.png": "red", "a.jpg": "green", "c.PNG": "blue"}
    wide = save(tmp_path / "wide.png", np.concatenate([GREEN, RED, RED, GREEN], axis=1))
    assert seen(model, wide) == {"wide.png": "red"}, "the middle counts"


def test_a_file_that_takes_any_size(tmp_path: Path, folder: Path) -> None:
    model = pixels_file(tmp_path / "model.onnx", size="height", **{"kd.resize": "1"})
    save(folder / "wide.png", np.concatenate([GREEN, GREEN, RED], axis=1))
    assert seen(model, folder)["wide.png"] == "green", "nothing is cut off"


def test_images_are_fitted_and_then_resized_as_pytorch_does() -> None:
    """A student that learnt images of 8 pixels, at 13."""
    feeding = Feeding(COLOURS, 13, SIZE, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2))
    pixels = noise(SIZE, SIZE)
    floats = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    resized = torch.nn.functional.interpolate(floats, (13, 13), mode="bicubic", antialias=True)
    mean = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)
    expected = (resized.clamp(0, 1) - mean) / 0.2
    np.testing.assert_allclose(feeding.ready([pixels]), expected, atol=1e-5)


def test_what_a_file_says_of_itself(tmp_path: Path) -> None:
    plain = feeding_of(tensor_file(tmp_path / "a.onnx"))
    assert (plain.image_size, plain.pixels, plain.any_size, plain.probabilities) == (
        *(SIZE, False, False, False),
    )
    more = {"kd.resize": "1", "kd.image_size": "6"}
    other = feeding_of(pixels_file(tmp_path / "b.onnx", **more))
    assert (other.image_size, other.input_size) == (6, SIZE)
    assert other.pixels
    assert other.any_size
    assert other.probabilities


def test_it_sees_what_the_student_saw(finished_once: House, tmp_path: Path) -> None:
    """Test images of digits, as files, through the run."""
    store = open_store(open_source("digits").test, 32, Silent())
    for i, image in enumerate(store.fetch(np.arange(40))):
        save(tmp_path / f"{i:02}.png", image.permute(1, 2, 0).numpy())
    with np.load(finished_once.student / "predictions.npz") as kept:
        expected = kept["student"][0][:40].argmax(1)
    answer = kd_ok("predict", finished_once.student, tmp_path, "--json")
    file = finished_once.student / "export" / "model.onnx"
    assert f"using {file}" in answer.err
    found = [one["top"][0]["class"] for one in answer.document["predictions"]]
    assert found == [str(digit) for digit in expected]


# What is shown -----------------------------------------------------------------------------------


def test_one_image_in_full_several_in_a_line_each(model: Path, folder: Path) -> None:
    one = kd_ok("predict", model, folder / "b.png").out
    assert all(colour in one for colour in COLOURS)
    many = kd_ok("predict", model, folder).out
    assert [many.count(colour) for colour in COLOURS] == [1, 1, 1]
    two = kd_ok("predict", model, folder, "--top", "2").out
    assert sum(two.count(colour) for colour in COLOURS) == 6


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_narrow_terminal_keeps_names_whole(
    model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    out = Terminal()
    show_predicted(Console(out=out), predict(str(model), [str(folder)], progress=Silent()))
    assert f"{folder / 'b.png'}\n  class red, probability 0." in out.getvalue()


# What cannot be answered -------------------------------------------------------------------------


def test_bad_images_are_left_out_and_the_rest_answered(model: Path, folder: Path) -> None:
    (folder / "aa.png").write_bytes(b"")
    (folder / "deep" / "cut.jpg").write_bytes((folder / "deep" / "a.jpg").read_bytes()[:99])
    answer = kd("predict", model, folder)
    assert answer.code == 3
    assert [answer.out.count(colour) for colour in COLOURS] == [1, 1, 1]
    assert f"{folder / 'aa.png'}: not a readable image (the file is empty)" in answer.err
    assert "2 of 5 images not readable" in answer.err
    document = kd("predict", model, folder, "--json").document
    assert len(document["predictions"]) == 3
    assert [Path(one["image"]).name for one in document["skipped"]] == ["aa.png", "cut.jpg"]
    assert document["error"]["code"] == 3


def test_no_image_at_all_is_readable(model: Path, folder: Path) -> None:
    answer = kd("predict", model, folder / "notes.txt")
    assert answer.code == 3
    assert answer.out == ""


@pytest.mark.parametrize("missing", ["nowhere.png", "*.tiff", "empty"])
def test_a_name_that_matches_nothing(
    missing: str, model: Path, folder: Path, tmp_path: Path
) -> None:
    """Named and left out where others match; refused where none does."""
    (tmp_path / "empty").mkdir()
    answer = kd("predict", model, folder, tmp_path / missing)
    assert answer.code == 3
    assert [answer.out.count(colour) for colour in COLOURS] == [1, 1, 1]
    assert f"1 of 4 images not readable: {tmp_path / missing}" in answer.err
    answer = kd("predict", model, tmp_path / missing)
    assert answer.code == 2
    assert str(tmp_path / missing) in answer.err


# What is no such file ----------------------------------------------------------------------------


def stripped(model: Path, *keys: str, **changed: str) -> Path:
    proto = onnx.load(model)
    known = {entry.key: entry.value for entry in proto.metadata_props} | changed
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, {k: v for k, v in known.items() if k not in keys})
    onnx.save(proto, model)
    return model


def test_somebody_elses_onnx_file(model: Path, folder: Path) -> None:
    answer = kd("predict", stripped(model, "kd.classes", "kd.mean"), folder)
    assert answer.code == 2
    assert "not one of kd's: it does not say its kd.classes, kd.mean" in answer.err
    assert "kd export" in answer.err


@pytest.mark.parametrize(
    ("key", "value"), [("kd.mean", "{"), ("kd.classes", "7"), ("kd.classes", '["a", "b"]')]
)
def test_metadata_that_make_no_sense(key: str, value: str, model: Path, folder: Path) -> None:
    answer = kd("predict", stripped(model, **{key: value}), folder)
    assert answer.code == 7
    assert str(model) in answer.err


def test_a_model_of_pytorch_an_image_or_nothing(
    model: Path, folder: Path, finished_once: House, tmp_path: Path
) -> None:
    weights = finished_once.student / "model.pt"
    answer = kd("predict", weights, folder)
    assert (answer.code, f"kd export {weights}" in answer.err) == (2, True)
    answer = kd("predict", folder / "b.png", folder)
    assert (answer.code, "the model comes first" in answer.err) == (2, True)
    answer = kd("predict", tmp_path / "nowhere.onnx", folder)
    assert (answer.code, "no such file" in answer.err) == (2, True)
    answer = kd("predict", finished_once.teacher, folder)
    assert (answer.code, f"kd export {finished_once.teacher}" in answer.err) == (2, True)


def test_of_a_folder_the_first_precision_is_taken(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "export").mkdir()
    for name in ("small.int8.onnx", "small.onnx"):
        tensor_file(tmp_path / "export" / name)
    document = kd_ok("predict", tmp_path, folder, "--json").document
    assert document["model"] == str(tmp_path / "export" / "small.onnx")


# Names -------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are Linux's")
def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"gr\xfcn [1].png")
    picture = save(tmp_path / name, GREEN)
    classes = json.dumps(["rot", os.fsdecode(b"gr\xfcn"), "[blau]"], ensure_ascii=False)
    written = classes.encode("utf-8", "backslashreplace").decode()
    model = tensor_file(tmp_path / "model.onnx", **{"kd.classes": written})
    for given in (picture, tmp_path):
        answer = kd_ok("predict", model, given)
        assert r"gr\udcfcn [1].png" in answer.out
        assert r"gr\udcfcn" in answer.out.replace(r"gr\udcfcn [1].png", "")
        (one,) = kd_ok("predict", model, given, "--json").document["predictions"]
        assert one["image"] == str(picture)
        assert one["top"][0]["class"] == os.fsdecode(b"gr\xfcn")


def test_a_smaller_file_beside_it_is_named(model: Path, folder: Path) -> None:
    assert "others" not in kd_ok("predict", model.parent, folder).err
    smaller = Path(shutil.copy(model, model.with_name("model.int8.onnx")))
    answer = kd_ok("predict", model.parent, folder)
    assert f"using {model}; others lie there: kd predict {smaller}" in answer.err
