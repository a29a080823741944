"""The script that is copied beside the model: alone, and with the answers of `kd predict`."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colours import COLOURS, RED, SIZE, noise, pixels_file, tensor_file
from house import kd_ok
from numpy.typing import NDArray
from odd_images import COLOURS as PIXELS
from odd_images import RAMP, deep, misread, saved, tiff, transparent, write
from PIL import Image

from kdcli.core.errors import DataError
from kdcli.data.decoding import UNTOLD, Decoding
from kdcli.data.images import read_image
from kdcli.deploy import device
from kdcli.deploy.export_folder import scripts

TWELVE = 4095
SCRIPTS = Path(device.__file__).parent
RUNS = """
import json, runpy, sys
sys.modules |= dict.fromkeys({blocked!r})
sys.argv = {arguments!r}
runpy.run_path(sys.argv[0], run_name="__main__")
print(json.dumps(sorted(name.split(".")[0] for name in sys.modules)))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As it is copied to the device; without its model."""
    place = tmp_path / "device"
    place.mkdir()
    shutil.copy(SCRIPTS / "predict.py", place)
    return place


def run(folder: Path, *arguments: str | Path, blocked: tuple[str, ...] = ()) -> list[str]:
    """Lines that the script prints; `blocked` packages are not there."""
    line = [str(folder / "predict.py"), *map(str, arguments)]
    program = RUNS.format(blocked=blocked, arguments=line)
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    *lines, modules = done.stdout.splitlines()
    assert not {"torch", "kdcli", "onnx", "timm"} & set(json.loads(modules))
    return lines


def as_kd_says(model: Path, image: Path) -> list[str]:
    (one,) = kd_ok("predict", model, image, "--json").document["predictions"]
    return [f"{guess['probability']:.4f}  {guess['class']}" for guess in one["top"]]


def pnm(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Binary, with a comment in its header."""
    kind, (height, width) = ("P6" if pixels.ndim == 3 else "P5"), pixels.shape[:2]
    path.write_bytes(f"{kind}\n# by hand\n{width} {height}\n255\n".encode() + pixels.tobytes())
    return path


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("size", [(SIZE, SIZE), (60, 40), (5, 21)], ids=str)
@pytest.mark.parametrize("kind", ["tensor", "larger", "pixels", "any size"])
def test_it_answers_as_kd_predict_does(kind: str, size: tuple[int, int], folder: Path) -> None:
    path = folder / "model.onnx"
    model = {
        "tensor": lambda: tensor_file(path, **{"kd.crop_pct": "0.7"}),
        "larger": lambda: tensor_file(path, **{"kd.image_size": "6"}),
        "pixels": lambda: pixels_file(path),
        "any size": lambda: pixels_file(path, size="height", **{"kd.resize": "1"}),
    }[kind]()
    image = save(folder / "photo.jpg", noise(*size))
    assert run(folder, image) == as_kd_says(model, image)


def test_formats_that_need_no_pillow(folder: Path) -> None:
    model = tensor_file(folder / "model.onnx", batch=3)
    pixels = noise(SIZE, SIZE)
    np.save(folder / "x.npy", pixels)
    images = [
        *(folder / "x.npy", pnm(folder / "x.ppm", pixels)),
        pnm(folder / "x.pgm", np.ascontiguousarray(pixels[..., 0])),
    ]
    colours, same, grey = (run(folder, image, blocked=("PIL",)) for image in images)
    assert colours == same == as_kd_says(model, save(folder / "x.png", pixels))
    assert grey == as_kd_says(model, images[2])


def test_a_file_that_takes_any_size_needs_no_pillow(folder: Path) -> None:
    pixels_file(folder / "model.onnx", size="height", **{"kd.resize": "1"})
    image = pnm(folder / "x.ppm", np.concatenate([RED, RED], axis=1))
    assert run(folder, image, blocked=("PIL",))[0].endswith("red")


@pytest.mark.parametrize("name", ["x.png", "large.ppm"])
def test_where_pillow_would_be_needed(name: str, folder: Path) -> None:
    tensor_file(folder / "model.onnx")
    image = save(folder / name, np.tile(RED, (2, 2, 1)))
    with pytest.raises(
        AssertionError, match=f"{name}: no .npy or PPM of 8 x 8 pixels; pip install"
    ):
        run(folder, image, blocked=("PIL",))


def test_grey_of_16_bits_and_a_turned_photograph(folder: Path) -> None:
    model = tensor_file(folder / "model.onnx")
    grey = np.linspace(0, 65535, SIZE * SIZE).reshape(SIZE, SIZE).astype(np.uint16)
    Image.fromarray(grey).save(folder / "grey.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter to the right
    Image.fromarray(noise(9, 30)).save(folder / "turned.jpg", exif=turned)
    for name in ("grey.png", "turned.jpg"):
        assert run(folder, folder / name) == as_kd_says(model, folder / name)


DECODINGS = [Decoding(), Decoding(0, TWELVE), Decoding(128, 255), UNTOLD]
FLOATS = RAMP.astype(np.float32)
ODD = (
    transparent()
    | {f"12 bits {name}": content for name, content in deep(TWELVE).items()}
    | {f"16 bits {name}": content for name, content in deep(65535).items()}
    | misread()
    | {"floats.tif": tiff(FLOATS / 255), "bytes as floats.tif": tiff(FLOATS)}
    | {
        f"{mode}.tif": saved(Image.fromarray(PIXELS).convert(mode), "TIFF")
        for mode in ("1", "CMYK")
    }
)


def page_says(name: str) -> Callable[..., Any]:
    """`read` of the page's plain Python."""
    page = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text("utf-8")
    found: dict[str, Any] = {}
    exec(re.findall(r"```python\n(import json.*?)session = ", page, re.DOTALL)[0], found)
    return found[name]


def script_says(name: str) -> Callable[..., Any]:
    """A function of the script."""
    found: dict[str, Any] = {"__name__": "script", "__file__": "predict.py"}
    exec((SCRIPTS / "predict.py").read_text("utf-8").partition("parser = ")[0], found)
    return found[name]


@pytest.mark.parametrize("how", DECODINGS, ids=lambda how: "-".join(how.as_texts().values()))
def test_odd_files_are_read_as_kd_reads_them(how: Decoding, tmp_path: Path) -> None:
    script, page, known = script_says("read"), page_says("read"), how.as_texts()
    refused = 0
    for path in write(tmp_path, ODD):
        try:
            expected = read_image(path, how)
        except DataError:
            refused += 1
            with pytest.raises(SystemExit, match=path.name):
                script(path, known)
            continue
        assert (script(path, known) == expected).all(), path.name
        if not (path.name.split()[-1].startswith("rgb") and how.integer_white != 65535):
            assert (np.asarray(page(path, known)) == expected).all(), path.name
    assert refused >= len(misread())


def test_the_rule_of_the_file_is_followed(folder: Path) -> None:
    """A shape in front of nothing."""
    clear = np.dstack([RED, np.eye(SIZE, dtype=np.uint8) * 255])
    image, answers = save(folder / "x.png", clear), []
    for grey in ("0", "255", "none"):
        model = tensor_file(folder / "model.onnx", **{"kd.background": grey})
        answers.append(run(folder, image))
        assert answers[-1] == as_kd_says(model, image)
    assert answers[0] == answers[1] != answers[2], "a colour of its own; grey speaks for none"


def test_top_and_another_model(folder: Path, tmp_path: Path) -> None:
    model = tensor_file(tmp_path / "other.onnx")
    (best,) = run(folder, save(folder / "x.png", RED), "--model", model, "--top", "1")
    assert best.split() == [best.split()[0], COLOURS[0]]


def test_a_script_is_short() -> None:
    """Read by strangers before they run it."""
    for name, text in scripts().items():
        assert len([line for line in text.splitlines() if line.strip()]) < 90, name
        assert "kdcli" not in text
