"""What `--data` takes, and what it says to anything else."""

import gzip
from pathlib import Path

import pytest

from kdcli.core.errors import DataError, UsageError
from kdcli.data.open import open_source


def test_nothing_asked_for_is_digits() -> None:
    assert open_source(None).is_default
    assert not open_source("digits").is_default
    assert open_source("digits").name == open_source(None).name == "digits"


def test_near_miss() -> None:
    with pytest.raises(UsageError, match="did you mean 'digits'") as caught:
        open_source("digit")
    assert caught.value.fix.startswith("--data takes 'digits', a folder of images, a table")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("images.tar.gz", "", "is an archive; wanted is a folder, or a table"),
        ("cat.PNG", "", "is a single image"),
        ("notes", "", "is a file without a suffix"),
        ("coco.json", '{"annotations": [{"bbox": []}]}', "not for kd: a .json of boxes .* (COCO"),
        ("other.json", "{}", "is a .json file"),
        ("empty.json", "", "is a .json file"),
    ],
)
def test_a_file_is_told_for_what_it_is(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        open_source(str(tmp_path / name))
    assert all(part in caught.value.what for part in words.split(" .* "))
    assert "folder" in caught.value.fix


def test_the_kind_of_folder_is_found(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images"):
        open_source(str(tmp_path))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.* is missing"):
        open_source(str(tmp_path))


def test_a_sub_folder_that_may_not_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never left out in silence, and no defect of kd."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "cat"))

    monkeypatch.setattr("kdcli.data.open.FOLDERS", ((Path.is_dir, refuse),))
    with pytest.raises(DataError, match=r"cat: cannot be read \(permission denied\)"):
        open_source(str(tmp_path))
