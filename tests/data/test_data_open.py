"""What `--data` takes, and what it says to anything else."""

import gzip
from pathlib import Path

import pytest

from kdcli.data.open import open_source
from kdcli.errors import DataError, UsageError


def test_nothing_asked_for_is_digits() -> None:
    assert open_source(None).is_default
    assert not open_source("digits").is_default
    assert open_source("digits").name == open_source(None).name == "digits"


def test_near_miss() -> None:
    with pytest.raises(UsageError, match="did you mean 'digits'") as caught:
        open_source("digit")
    assert caught.value.fix.startswith("--data takes 'digits', a folder of images, a table")


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    path.touch()
    with pytest.raises(DataError, match="is a file, and no table"):
        open_source(str(path))


def test_the_kind_of_folder_is_found(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images"):
        open_source(str(tmp_path))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.* is missing"):
        open_source(str(tmp_path))
