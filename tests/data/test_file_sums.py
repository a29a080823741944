"""Changed images are noticed, wherever they were changed; and nothing is read twice for that."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from house import TEACHER, kd_ok
from pictures import lines, pictures
from PIL import Image

from kdcli.core.progress import Silent
from kdcli.data import file_sums as module
from kdcli.data import find_decoding, readers
from kdcli.data.file_sums import UNREADABLE, look_at_files
from kdcli.data.open import open_source
from kdcli.data.quality import survey as survey_module
from kdcli.data.quality.survey import survey, undecodable
from kdcli.data.readers import ImageFiles
from kdcli.data.unlabelled import identity_of, open_unlabelled


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of uncompressed images, larger than what lies at both ends of a file."""
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(10):
            noise = np.random.default_rng(100 * number + i).integers(0, 256, (80, 80, 3), np.uint8)
            Image.fromarray(noise).save(tmp_path / "data" / name / f"{i}.bmp")
    return tmp_path / "data"


def change(file: Path) -> None:
    """Twenty rows in the middle; size and date of change stay."""
    dates = file.stat()
    data = bytearray(file.read_bytes())
    data[9000 : 9000 + 20 * 240] = bytes(20 * 240)
    file.write_bytes(data)
    os.utime(file, ns=(dates.st_atime_ns, dates.st_mtime_ns))


def of_folder(path: Path) -> dict[str, Any]:
    return open_source(str(path)).identity


def of_table(path: Path) -> dict[str, Any]:
    table = path / "table.csv"
    files = sorted(file.relative_to(path) for file in path.glob("*/*.bmp"))
    table.write_text(lines(("image", "label"), *((file, file.parent) for file in files)))
    return open_source(str(table)).identity


def of_unlabelled(path: Path) -> dict[str, Any]:
    return identity_of(open_unlabelled(path, Silent()))


def of_hub(path: Path) -> dict[str, Any]:
    pytest.importorskip("datasets")
    return open_source(f"hfds/{path}").identity


@pytest.mark.parametrize("settled", [0, module.SETTLED], ids=["kept", "not kept"])
@pytest.mark.parametrize("identity", [of_folder, of_table, of_unlabelled, of_hub])
def test_rows_that_were_changed_are_other_data(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    identity: Callable[[Path], dict[str, Any]],
    settled: int,
) -> None:
    monkeypatch.setattr(module, "SETTLED", settled)
    if settled == 0:
        time.sleep(0.02)  # a tick of the disk's clock
    before = identity(folder)
    assert identity(folder) == before
    if settled == 0:
        time.sleep(0.02)
    change(folder / "cat" / "3.bmp")
    assert identity(folder) != before


def test_a_finished_run_is_not_taken_for_changed_images(folder: Path, empty_house: object) -> None:
    command = ("train", TEACHER, "--data", folder, "--set", "train.epochs=1")
    settings = ("--set", "data.image_size=32", "--set", "student.pretrained=false")
    kd_ok(*command, *settings)
    assert "finished earlier" in kd_ok(*command, *settings).err
    change(folder / "cat" / "3.bmp")
    assert "finished earlier" not in kd_ok(*command, *settings).err


def test_a_second_look_costs_no_reading(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"cat/{i}.bmp" for i in range(10)] + ["cat/gone.bmp"]
    monkeypatch.setattr(module, "SETTLED", -module.SETTLED)
    first = look_at_files(folder, names, Silent()).sums
    assert tuple(first[-1]) == UNREADABLE
    assert len({tuple(each) for each in first}) == 11

    def refused(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(module.hashlib, "file_digest", refused)
    assert (look_at_files(folder, names, Silent()).sums == first).all()
    shutil.copytree(folder, tmp_path / "elsewhere")
    with pytest.raises(AssertionError, match="read again"):
        look_at_files(tmp_path / "elsewhere", names, Silent())


def test_whatever_a_survey_asks_is_learnt_at_the_first_look(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED", -module.SETTLED)
    first = survey(open_source(str(folder)))
    monkeypatch.setattr(survey_module, "look_at_some", lambda *_: first.shown)
    monkeypatch.setattr(find_decoding, "header_of", lambda *_: None)
    with monkeypatch.context() as only_dates:
        only_dates.setattr(module, "_look", None)
        only_dates.setattr(PIL.Image, "open", None)
        again = survey(open_source(str(folder)))
    assert asdict(again) == asdict(first)


def test_what_was_read_before_an_interrupt_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED", -module.SETTLED)
    names, looked, look = [f"cat/{i}.bmp" for i in range(10)], [], module._look

    def interrupted(path: Path) -> Any:
        looked.append(path)
        if len(looked) == 7:
            raise KeyboardInterrupt
        return look(path)

    monkeypatch.setattr(module, "_look", interrupted)
    with pytest.raises(KeyboardInterrupt):
        look_at_files(folder, names, Silent())
    found = look_at_files(folder, names, Silent())
    assert len(looked) == 7 + 4
    assert (found.sizes == 80).all()


def test_what_shows_no_header_is_asked_again_and_known_once_it_is_repaired(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED", -module.SETTLED)
    file = folder / "dog" / "2.bmp"
    whole = file.read_bytes()
    for content, told in ((b"", 1), (b"", 1), (whole, 0)):
        file.write_bytes(content)
        assert len(survey(open_source(str(folder))).unreadable) == told


def test_what_was_decoded_once_is_not_decoded_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED", -module.SETTLED)
    broken = folder / "dog" / "2.bmp"
    broken.write_bytes(broken.read_bytes()[:9000])
    decoded, read = [], ImageFiles.__call__

    def counted(self: ImageFiles, i: int) -> Any:
        decoded.append(self.names[i])
        return read(self, i)

    monkeypatch.setattr(ImageFiles, "__call__", counted)

    def errors() -> int:
        source = open_source(str(folder))
        decoded.clear()
        return len(undecodable(tuple(source.splits.values()), Silent()))

    assert (errors(), len(decoded)) == (1, 20)
    assert (errors(), decoded) == (1, ["dog/2.bmp"])
    change(folder / "cat" / "3.bmp")
    assert (errors(), sorted(decoded)) == (1, ["cat/3.bmp", "dog/2.bmp"])


def test_a_digest_is_of_all_files_however_many_are_written_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of_folder(folder)
    monkeypatch.setattr(readers, "AT_ONCE", 3)
    assert of_folder(folder) == before


def test_what_was_touched_just_now_is_not_trusted(folder: Path, cache: Path) -> None:
    """Changed once more within the same tick, it would have the same dates."""
    look_at_files(folder, ["cat/1.bmp"], Silent())
    assert not list(cache.rglob("*.rows"))


def test_a_copy_elsewhere_is_the_same_data(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    assert of_folder(folder) == of_folder(tmp_path / "copy")
    pictures(tmp_path / "copy" / "cat", 1)
    assert of_folder(folder) != of_folder(tmp_path / "copy")
