"""What lies in a folder: shadow files do not exist, links count once, refusals are in words."""

import errno
import os
import shutil
import sys
from pathlib import Path

import pytest
from house import kd
from pictures import pictures

from kdcli.core.errors import DataError, ExitCode
from kdcli.core.progress import Silent
from kdcli.data.open import open_source
from kdcli.data.quality.survey import survey
from kdcli.data.source import Source
from kdcli.data.sources import idx
from kdcli.data.sources.folder import open_folder
from kdcli.data.unlabelled import open_unlabelled

links = pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of ten."""
    pictures(tmp_path / "data" / "cat", 10)
    pictures(tmp_path / "data" / "dog", 10, first=50)
    return tmp_path / "data"


def count(source: Source) -> int:
    return sum(map(len, source.splits.values()))


@pytest.mark.parametrize(
    "place",
    [
        *("@eaDir", "cat/@eaDir", "cat/@EADIR/01.png", "cat/.@__thumb", "cat/@__thumb"),
        *("$RECYCLE.BIN", "System Volume Information", "#recycle", "lost+found"),
        *("cat/.ipynb_checkpoints", "cat/.thumbnails", "cat/.AppleDouble", "__MACOSX"),
    ],
)
def test_what_devices_and_desktops_keep_does_not_exist(folder: Path, place: str) -> None:
    pictures(folder / place, 3)
    (folder / "cat" / "Thumbs.db").write_bytes(b"-")
    (folder / "cat" / "desktop.ini").write_bytes(b"-")
    source = open_folder(folder)
    assert (count(source), source.classes, source.ignored) == (20, ("cat", "dog"), ())
    assert len(open_unlabelled(folder, Silent())) == 20


def test_a_kind_of_waste_is_a_class(folder: Path) -> None:
    pictures(folder / "Recycled", 10, first=100)
    assert open_folder(folder).classes == ("Recycled", "cat", "dog")


@links
def test_linked_images_classes_and_splits_count(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.move(folder / "dog", store / "dog")
    pictures(store / "test" / "cat", 3, first=200)
    pictures(store / "test" / "dog", 3, first=210)
    data = tmp_path / "linked"
    (data / "train").mkdir(parents=True)
    (data / "train" / "dog").symlink_to(store / "dog")
    (data / "test").symlink_to(store / "test")
    for path in sorted((folder / "cat").iterdir()):
        (data / "train" / "cat").mkdir(exist_ok=True)
        (data / "train" / "cat" / path.name).symlink_to(path)
    source = open_folder(data)
    assert (len(source.test), count(source)) == (6, 26)
    assert source.ignored == ()


@links
def test_linked_folders_are_followed_once_and_never_up(folder: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    pictures(more, 5, first=100)
    (more / "again").symlink_to(more)
    for name in ("a", "b"):
        (folder / "cat" / name).symlink_to(more)
    (folder / "dog" / "up").symlink_to(folder)
    (folder / "all").symlink_to(folder)  # would be a class of both
    source = open_folder(folder)
    assert source.classes == ("cat", "dog")
    assert count(source) == 25
    assert source.ignored == ("cat/a/again", "cat/b", "dog/up")


@links
def test_a_dead_link_is_an_image_that_cannot_be_read(folder: Path) -> None:
    (folder / "cat" / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "cat" / "IMG_2041").symlink_to(folder / "nowhere")
    (folder / "cat" / "loop.jpg").symlink_to("loop.jpg")
    (folder / "cat" / "notes.txt").symlink_to(folder / "nowhere.txt")
    found = survey(open_folder(folder))
    assert len(found.unreadable) == 3
    assert "a link to no file" in str(found.unreadable)
    assert found.ignored == ("cat/notes.txt",)
    answer = kd("doctor", folder)
    assert answer.code == ExitCode.DATA
    with pytest.raises(DataError, match="3 of 23 images cannot be read"):
        open_unlabelled(folder, Silent())


@links
def test_a_dead_link_in_the_place_of_a_class_is_refused(folder: Path) -> None:
    (folder / "emu").symlink_to("/a disk that is away/emu")
    with pytest.raises(DataError, match=r"dead links.*emu"):
        open_folder(folder)


@links
def test_a_pipe_is_no_image(folder: Path) -> None:
    os.mkfifo(folder / "cat" / "pipe.png")
    os.mkfifo(folder / "cat" / "pipe")
    assert open_folder(folder).ignored == ("cat/pipe", "cat/pipe.png")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("place", ["", "cat", "cat/deep"])
def test_a_folder_that_cannot_be_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, place: str
) -> None:
    pictures(folder / "cat" / "deep", 2, first=90)
    real = os.scandir

    def refused(path: object) -> object:
        if Path(str(path)) == folder / place:
            raise OSError(number, os.strerror(number), str(path))
        return real(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", refused)
    for opens in (lambda: open_source(str(folder)), lambda: open_unlabelled(folder, Silent())):
        with pytest.raises(DataError, match="cannot be read") as caught:
            opens()
        assert str(folder / place) in caught.value.what
        assert caught.value.fix


def test_other_refusals_are_in_words_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="too long"):
        open_source("梨" * 96 + "/x")
    (tmp_path / "train-images-idx3-ubyte").touch()

    def refused(_: object, path: Path, __: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(idx, "_read", refused)
    for name in ("train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / f"{name}-ubyte").touch()
    with pytest.raises(DataError, match="input/output error"):
        open_source(str(tmp_path))
