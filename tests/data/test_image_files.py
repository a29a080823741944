"""Whatever Pillow reads of itself is an image, by its name or its first bytes; nothing else is."""

import io
import subprocess
from pathlib import Path

import pytest
from house import kd
from pictures import picture, pictures
from PIL import Image

from kdcli.core.errors import DataError, ExitCode
from kdcli.data.image_files import FORMATS, SUFFIXES, begins_as_image, is_image_name, suffix_of
from kdcli.data.images import read_image
from kdcli.data.quality.survey import survey
from kdcli.data.sources.csv_table import open_table
from kdcli.data.sources.folder import open_folder

SAVED = {
    **{"avif": "AVIF", "bmp": "BMP", "gif": "GIF", "jpg": "JPEG", "jp2": "JPEG2000"},
    **{"j2k": "JPEG2000", "mpo": "MPO", "pcx": "PCX", "png": "PNG", "ppm": "PPM", "qoi": "QOI"},
    **{"sgi": "SGI", "tga": "TGA", "tif": "TIFF", "webp": "WEBP", "dib": "DIB"},
}
WITHOUT_MARK = ("dib", "pcx", "sgi", "tga")


@pytest.mark.parametrize("suffix", SAVED)
def test_each_format_is_read_by_name_and_by_its_first_bytes(tmp_path: Path, suffix: str) -> None:
    for i, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for number in range(6):
            image = Image.new("RGB", (20, 16), (40 * number, 90 * i, 50))
            image.save(tmp_path / name / f"{number}.{suffix.upper()}", SAVED[suffix])
    source = open_folder(tmp_path)
    assert sum(map(len, source.splits.values())) == 12
    assert source.train.read(0).shape == (16, 20, 3)
    if suffix in WITHOUT_MARK:
        return
    for path in list(tmp_path.rglob(f"*.{suffix.upper()}")):
        path.rename(path.with_name(f"IMG.{path.stem}"))  # a dot, and no suffix
    source = open_folder(tmp_path)
    assert sum(map(len, source.splits.values())) == 12
    assert source.train.read(0).shape == (16, 20, 3)


def test_names_of_formats_are_those_of_pillow() -> None:
    Image.init()
    assert set(FORMATS) <= set(Image.OPEN)
    known = {name[1:]: format for name, format in Image.registered_extensions().items()}
    for format, suffixes in FORMATS.items():
        assert {known[suffix] for suffix in suffixes} <= {format, "MPO"}


def test_suffixes() -> None:
    assert suffix_of("a.b/c.JPG") == "jpg"
    for name in ("St. Bernard 3", "val.00000001", ".hidden", "a", "photo.jpg?w=200", "a.b/c"):
        assert suffix_of(name) == ""
    assert is_image_name("x.HEIC")
    assert not {"pdf", "eps", "svg", "psd", "fits", "h5", "wmf", "mp4"} & SUFFIXES


def test_texts_do_not_begin_as_images(tmp_path: Path) -> None:
    texts = b"P1 is a text", b"BMW, Audi", b"II", b"", b"GIF", b"RIFF1234WAVEfmt ", b"%PDF-1.7"
    for text in texts:
        (tmp_path / "README").write_bytes(text)
        assert not begins_as_image(tmp_path / "README")


@pytest.mark.parametrize("name", ["a.eps", "a.png"])
def test_no_other_program_is_ever_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "EPS")
    (tmp_path / name).write_bytes(stream.getvalue())

    def run(*_: object, **__: object) -> None:
        raise AssertionError("a program was run")

    for function in ("check_call", "Popen", "run", "check_output"):
        monkeypatch.setattr(subprocess, function, run)
    with pytest.raises(DataError, match="no image format that is known"):
        read_image(tmp_path / name)


def test_photographs_of_a_telephone_are_named_not_left_out(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        pictures(tmp_path / name, 10, first=len(name))
    (tmp_path / "cat" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    answer = kd("doctor", tmp_path)
    assert answer.code == ExitCode.DATA
    assert "IMG_1.HEIC: HEIC is not read" in answer.err + answer.out


def test_videos_become_frames_first(tmp_path: Path) -> None:
    for name in ("run", "walk"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.MP4").write_bytes(b"-")
    with pytest.raises(DataError, match="videos") as caught:
        open_folder(tmp_path)
    assert "extract frames" in caught.value.fix
    answer = kd("doctor", tmp_path / "run" / "a.MP4")
    assert (answer.code, "extract frames" in answer.err) == (ExitCode.DATA, True)


def test_classes_that_differ_in_their_spelling_alone(tmp_path: Path) -> None:
    for i, name in enumerate(("Cat", "cat", "big dog", "big_dog", "emu")):
        for number in range(6):
            picture(tmp_path / name / f"{number}.png", 10 * i + number)
    if len(list(tmp_path.iterdir())) < 5:
        pytest.skip("to this file system they are one")
    answer = kd("doctor", tmp_path)
    assert "classes 'Cat', 'cat' differ in their spelling alone" in answer.err + answer.out
    assert "'big dog', 'big_dog'" in answer.err + answer.out


def test_folders_that_read_the_same_are_one_class_and_told_of(tmp_path: Path) -> None:
    for i, name in enumerate(("A\u0308", "\u00c4", "z ")):
        for number in range(6):
            picture(tmp_path / name / f"{number}.png", 10 * i + number)
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("to this file system they are one")
    source = open_folder(tmp_path)
    assert source.classes == ("\u00c4", "z"), "no list of names holds a blank at its end"
    assert any("'\u00c4' is written in 2 ways" in note for note in source.notes)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (("-1", "0", "1"), None),
        (("1", "1.0", "2"), "'1', '1.0' differ in their spelling alone"),
        (("a", "NaN"), "class 'NaN' looks like labels that are missing"),
    ],
)
def test_labels_of_a_table(tmp_path: Path, labels: tuple[str, ...], told: str | None) -> None:
    rows = ["image,label"]
    for i, label in enumerate(labels):
        for number in range(6):
            picture(tmp_path / f"{i}.{number}.png", 10 * i + number)
            rows.append(f"{i}.{number}.png,{label}")
    (tmp_path / "table.csv").write_text("\n".join(rows))
    said = " ".join(survey(open_table(tmp_path / "table.csv")).warnings())
    assert told in said if told else "class" not in said
