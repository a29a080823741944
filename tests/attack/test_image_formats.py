"""A file's name says nothing of what Pillow makes of it: only kd's list of formats is opened, as
for others Pillow starts programs (rows 25, 39 and 40: nothing of a stranger's is run)."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from colours import tensor_file
from house import kd
from PIL import Image

import kdcli
from kdcli.core.errors import DataError
from kdcli.data.image_files import FORMATS
from kdcli.data.images import decode_image, header_of, image_dimensions, read_image
from kdcli.data.thumbnails import small_grey
from kdcli.deploy import device

PACKAGE = Path(kdcli.__file__).parent
ROOT = Path(__file__).parents[2]
EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 8 8
%%EndComments
showpage
%%EOF
"""


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a `gs` that is first on PATH leaves when it is started."""
    left, programs = tmp_path / "started", tmp_path / "bin"
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\ntouch '{left}'\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return left


@pytest.fixture
def disguised(tmp_path: Path) -> Path:
    """A data set of two classes, each with an EPS that is called a photograph."""
    for name in ("cat", "dog"):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for i in range(12):
            pixels = np.full((8, 8, 3), 20 * i + len(name), np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")
        (folder / "a.jpg").write_bytes(EPS)
    return tmp_path / "photos"


def test_the_canary_sings_where_pillow_chooses(canary: Path, tmp_path: Path) -> None:
    """Else the tests below would hold nothing."""
    (tmp_path / "a.jpg").write_bytes(EPS)
    with pytest.raises(OSError, match=r".*"), Image.open(tmp_path / "a.jpg") as image:
        image.load()
    assert canary.exists()


def test_no_way_of_reading_starts_it(canary: Path, disguised: Path) -> None:
    file = disguised / "cat" / "a.jpg"
    for read in (read_image, lambda f: image_dimensions(f, f), lambda f: small_grey(f, f)):
        with pytest.raises(DataError):
            read(file)
    with pytest.raises(DataError):
        decode_image(EPS, "a.jpg")
    with pytest.raises(OSError, match="cannot identify"):
        header_of(file)
    assert not canary.exists()


def test_no_command_starts_it(canary: Path, disguised: Path, tmp_path: Path) -> None:
    model = tensor_file(tmp_path / "model.onnx")
    assert kd("doctor", disguised).code == 3
    assert kd("predict", model, disguised / "cat" / "a.jpg").code == 3
    assert kd("train", "test_resnet", "--data", disguised, "--out", tmp_path / "run").code == 3
    assert not canary.exists()


def test_the_script_that_is_shipped_does_not(canary: Path, disguised: Path, tmp_path: Path) -> None:
    tensor_file(tmp_path / "model.onnx")
    shutil.copy(Path(device.__file__).with_name("predict.py"), tmp_path)
    line = [sys.executable, "-I", str(tmp_path / "predict.py"), str(disguised / "cat" / "a.jpg")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert "not a readable image" in done.stderr
    assert not canary.exists()


def test_every_place_that_opens_images_says_which() -> None:
    """Of the package, and in the lines that a model card and the pages show."""
    opens = re.compile(r"\bImage\.open\(")
    places = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        text = page.read_text("utf-8")
        assert all("formats=" in _line(text, found) for found in opens.finditer(text)), page
    for file in PACKAGE.rglob("*.py"):
        text = file.read_text("utf-8")
        if "Image.open" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Image.open"):
                assert [key for key in node.keywords if key.arg == "formats"], file
                places.append(file.name)
        places += [file.name for found in opens.finditer(text) if "formats=" in _line(text, found)]
        assert all("formats=" in _line(text, found) for found in opens.finditer(text)), file
    assert {"pixel_depth.py", "thumbnails.py", "predict.py", "model_card.py"} <= set(places)


def _line(text: str, found: re.Match[str]) -> str:
    return text[found.start() : text.index("\n", found.start())]


def test_the_script_opens_what_kd_opens() -> None:
    text = Path(device.__file__).with_name("predict.py").read_text("utf-8")
    (first, second) = re.findall(r"^FORMATS \+?= (\[.*\])$", text, re.MULTILINE)
    assert [*ast.literal_eval(first), *ast.literal_eval(second)] == list(FORMATS)
