"""data.crop_pct: what lies at an image's edge is seen nowhere, from evaluation to the device."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from house import House, kd_ok
from PIL import Image

from kdcli.models.checkpoint import load_model
from kdcli.recipe.edit import stored_crop_pct, update
from kdcli.recipe.schema import Recipe

CROP_PCT, HEIGHT, WIDTH, EDGE = 0.5, 41, 60, 6


def framed(path: Path, number: int, edge: int) -> None:
    """Noise that leans to the class, in a frame of one grey level."""
    noise = np.random.default_rng(number)
    image = noise.integers(0, 128, (HEIGHT, WIDTH, 3), np.uint8)
    image[..., number % 2] += 100
    image[:EDGE] = image[-EDGE:] = edge
    image[:, :EDGE] = image[:, -EDGE:] = edge
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Each test picture twice, in a black and in a white frame."""
    folder = tmp_path / "photographs"
    for split, count in (("train", 16), ("val", 4)):
        for i in range(count):
            framed(folder / split / "ab"[i % 2] / f"{i}.png", i, edge=128)
    for i in range(4):
        for name, edge in (("black", 0), ("white", 255)):
            framed(folder / "test" / "ab"[i % 2] / f"{i}-{name}.png", 100 + i, edge)
    return folder


@pytest.mark.parametrize(("augment", "share"), [(None, 0.5), ("shift", 0.5), ("crop", 1.0)])
def test_what_is_kept_of_training_images(augment: str | None, share: float) -> None:
    shown = {"data.image_size": 32, "data.augment": augment, "data.crop_pct": CROP_PCT}
    assert stored_crop_pct(update(Recipe(), shown)) == share


@pytest.mark.slow
def test_the_edge_is_seen_nowhere(photographs: Path, empty_house: House) -> None:
    settings = ("data.image_size=32", f"data.crop_pct={CROP_PCT}", "train.epochs=1")
    sets = [word for one in settings for word in ("--set", one)]
    kd_ok("train", "test_resnet", "--data", photographs, *sets)
    (run,) = empty_house.runs()
    kd_ok("evaluate", run)
    with np.load(run / "predictions.npz") as kept:
        logits, names = kept["student"][0], kept["ids"]
    assert (logits[::2] == logits[1::2]).all(), "black and white lie side by side"
    powers = np.exp(logits)
    expected = dict(zip(names, (powers / powers.sum(1, keepdims=True))[:, 0], strict=True))
    assert len(set(expected.values())) == 4

    images = [photographs / name for name in names]
    for flags, tolerance in ((("--input", "pixels", "--resize"), 0.01), ((), 1e-5)):
        kd_ok("export", run, *flags)
        folder = run / "export"
        document = kd_ok("predict", folder / "model.onnx", *images, "--json").document
        for one, name in zip(document["predictions"], names, strict=True):
            found = {guess["class"]: guess["probability"] for guess in one["top"]}
            assert found["a"] == pytest.approx(expected[name], abs=tolerance), flags
        line = [sys.executable, folder / "predict.py", images[0]]
        printed = subprocess.run(line, capture_output=True, text=True, check=True).stdout
        shares = {word: float(share) for share, word in map(str.split, printed.splitlines())}
        assert shares["a"] == pytest.approx(expected[names[0]], abs=tolerance + 1e-4), flags

    assert load_model(run / "model.pt").recipe["data"]["crop_pct"] == CROP_PCT
    assert "the central 50.0% of a side" in kd_ok("inspect", run).out
    assert "shorter side at 64 pixels, its middle 32 x 32" in (folder / "README.md").read_text()
    kd_ok("export", run, "--format", "timm")
    config = json.loads((run / "timm" / "config.json").read_text("utf-8"))
    assert config["pretrained_cfg"]["crop_pct"] == CROP_PCT
