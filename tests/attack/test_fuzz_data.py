"""Rows 25 to 30 and 50: folders of images and tables as strangers leave them."""

import io
import os
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

import hostile
import numpy as np
import odd_images
import pytest
from contract import Scratch, cases, holds, tried
from house import House
from hypothesis import strategies as st
from PIL import Image

COMMANDS = (
    *(
        "doctor DATA --json",
        "doctor DATA",
        "inspect test_resnet --data DATA",
        "predict m.onnx DATA",
    ),
    *("evaluate m.onnx --test DATA --json", "predict m.onnx DATA/a --json", "doctor DATA/a"),
    "train test_resnet --data DATA --dry-run --json --set train.epochs=1 --set train.batch_size=8",
)
NAMES = ("train", "test", "val", "a", "b", "c", "images", ".hidden", "A", "__MACOSX", "runs")
ENDINGS = (
    ".png",
    ".PNG",
    ".jpg",
    ".jpeg",
    ".bmp",
    ".gif",
    ".tif",
    ".webp",
    ".txt",
    "",
    ".npy",
    ".gz",
)


def picture(seed: int, size: int = 8, form: str = "png", mode: str = "RGB") -> bytes:
    """An image of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, form)
    return stream.getvalue()


def bomb(side: int) -> bytes:
    """The beginning of a PNG that says it is this large."""
    good = odd_images.png16(np.zeros((2, 2), np.uint16), 0)
    return good[:16] + struct.pack(">II", side, side) + good[24:]


good = st.builds(picture, st.integers(0, 50), st.sampled_from([1, 8, 30]))
contents = st.one_of(
    good,
    good,
    st.builds(
        picture,
        st.integers(0, 9),
        form=st.sampled_from(["png", "tiff", "webp"]),
        mode=st.sampled_from(["L", "RGBA"]),
    ),
    st.builds(lambda image, cut: image[:cut], good, st.integers(0, 200)),
    st.sampled_from([b"", b"\0" * 40, b"<html></html>", b"%!PS\n", b"\xff\xd8\xff\xe0", b"GIF89a"]),
    st.sampled_from([bomb(60_000), bomb(2**31 - 1), bomb(0), b"\x89PNG\r\n\x1a\n"]),
    st.sampled_from(
        [
            odd_images.tiff(odd_images.RAMP.astype(kind))
            for kind in ("uint16", "int16", "float32", "float64", "int32")
        ]
    ),
)
names = st.sampled_from(NAMES) | hostile.texts.filter(
    lambda text: (
        0 < len(os.fsencode(text) if _encodes(text) else b"") < 200
        and "/" not in text
        and text not in (".", "..")
    )
)


def _encodes(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True)
class Tree:
    """So many good images of three classes, odd files by their path among them, and maybe a table
    of them."""

    good: int = 36
    files: tuple[tuple[tuple[str, ...], bytes], ...] = ()
    links: tuple[tuple[tuple[str, ...], str], ...] = ()
    table: bytes | None = None

    def grow(self, folder: Path) -> Path:
        """Under this folder; what --data is given."""
        root = folder / "data"
        root.mkdir()
        for parts, content in (*USUAL[: self.good], *self.files):
            self._put(root.joinpath(*parts), lambda path, what=content: path.write_bytes(what))
        for parts, target in self.links:
            if target == "fifo":
                self._put(root.joinpath(*parts), os.mkfifo)
            else:
                self._put(root.joinpath(*parts), lambda path, to=target: path.symlink_to(to))
        if self.table is None:
            return root
        (root / "t.csv").write_bytes(self.table)
        return root / "t.csv"

    @staticmethod
    def _put(path: Path, make: object) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            make(path)  # type: ignore[operator]
        except OSError:  # a file stands where a folder should
            return


USUAL = [((c, f"{i}.png"), picture(9 * i + ord(c))) for c in "abc" for i in range(12)]
files = st.lists(
    st.tuples(
        st.lists(names, min_size=1, max_size=3).flatmap(
            lambda parts: st.sampled_from(ENDINGS).map(lambda end: (*parts[:-1], parts[-1] + end))
        ),
        contents,
    ),
    max_size=4,
)
links = st.lists(
    st.tuples(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["l.png", "l"])) | st.tuples(names),
        st.sampled_from(["..", ".", "l.png", "/dev/null", "/dev/zero", "fifo", "a", "nowhere"]),
    ),
    max_size=2,
)
cells = st.sampled_from(["a/1.png", "b/2.png", "a", "b", "train", "test", "0", "../x", "/dev/zero"])
rows = st.lists(
    st.lists(cells | hostile.texts | hostile.numbers, max_size=4).map(",".join), max_size=8
)
heads = st.sampled_from(
    ["image,label", "image,label,split", "label,image", "", "\ufeffimage,label", "a,b"]
)
fine = [f"{c}/{i}.png,{c}" for c in "abc" for i in range(12)]
tables = st.builds(
    lambda head, first, odd, end: end.join([head, *first, *odd]).encode("utf-8", "surrogatepass"),
    heads,
    st.sampled_from([fine, fine[:1], []]),
    rows,
    st.sampled_from(["\n", "\r\n", "\r", ";"]),
) | st.sampled_from(
    [b"", b"\xff\xfei\0", b"\0", b'image,label\n"a/1.png', b"image,label\n" + b'"' * 9]
)
trees = st.builds(
    Tree,
    st.sampled_from([36, 36, 12, 1, 0]),
    files.map(tuple),
    links.map(tuple),
    st.none() | tables,
)
KNOWN: list[tuple[Tree, str]] = []


@cases(few=8, many=1000)
def test_any_data_are_taken_or_refused(
    count: int, finished_once: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def furnish(folder: Path) -> None:
        shutil.copy(finished_once.student / "export" / "model.onnx", folder / "m.onnx")

    scratch = Scratch(tmp_path / "here", monkeypatch, furnish)

    def check(case: tuple[Tree, str]) -> None:
        tree, command = case
        data = str(tree.grow(scratch.anew()))
        holds(*(word.replace("DATA", data) for word in command.split()), folder=scratch.path)

    tried(count, st.tuples(trees, st.sampled_from(COMMANDS)), KNOWN, check)
