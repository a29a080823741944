"""A folder of images without labels: found at any depth, known by content, refused in words."""

import re
from dataclasses import replace

import pytest
import torch
from pictures import picture, pictures

from kdcli.core.errors import DamagedFile, DataError
from kdcli.core.progress import Silent
from kdcli.data.decoding import Decoding
from kdcli.data.quality.measured_too import measured_too
from kdcli.data.reopen import reopen_data
from kdcli.data.source import BACK
from kdcli.data.unlabelled import identity_of, open_unlabelled
from kdcli.plan.data import open_data, with_unlabelled
from kdcli.plan.job import Shared
from kdcli.plan.lineage import Roles, distill_spec
from kdcli.plan.names import Start
from kdcli.recipe.load import load_recipe
from kdcli.runs.baseline import baseline_of

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    pictures(tmp_path / "wild", 3)
    pictures(tmp_path / "wild" / "deep" / "er", 2, first=50)
    (tmp_path / "wild" / "notes.txt").write_text("-")
    (tmp_path / "wild" / ".hidden.png").write_text("-")
    return tmp_path / "wild"


def test_every_image_below_it_without_a_label(folder):
    split = open_unlabelled(folder, Silent())
    assert split.ids == ("00.png", "01.png", "02.png", "deep/er/00.png", "deep/er/01.png")
    assert set(split.labels.tolist()) == {-1}
    assert split.read(3).shape == (12, 12, 3)


def test_it_is_known_by_what_is_in_it(folder, tmp_path):
    before = identity_of(open_unlabelled(folder, Silent()))
    moved = folder.rename(tmp_path / "elsewhere")
    assert identity_of(open_unlabelled(moved, Silent())) == before
    picture(moved / "00.png", colour=99)
    assert identity_of(open_unlabelled(moved, Silent())) != before


def test_broken_files_are_named(folder):
    (folder / "01.png").write_bytes(b"")
    (folder / "deep" / "er" / "01.png").write_bytes(b"hello")
    with pytest.raises(DataError) as caught:
        open_unlabelled(folder, Silent())
    assert "2 of 5 images cannot be read" in caught.value.what
    assert "deep/er/01.png" in caught.value.what


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "words.txt").write_text("-")
    with pytest.raises(DataError, match=re.escape("no images in it (1 other file)")):
        open_unlabelled(tmp_path, Silent())
    with pytest.raises(DataError, match="no such folder"):
        open_unlabelled(tmp_path / "nowhere", Silent())


def test_a_spec_holds_it_for_the_student_alone(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    source, data = open_data("digits", Silent(), surveyed=False)
    settings = "data.unlabelled=wild", "data.hidden=0.5", "data.pool={}"

    def spec_of(*settings):
        loaded = load_recipe("kd", settings)
        _, further = with_unlabelled(loaded.recipe, source, Silent())
        shared = Shared(loaded, source, data, CPU, unlabelled=further)
        return distill_spec(Roles(("test_resnet",), Start("test_resnet")), shared)

    spec = spec_of(*settings)
    assert spec.unlabelled.location == str(folder)
    assert spec.teachers[0].spec.unlabelled is None
    baseline = baseline_of(spec)
    kept = baseline.recipe.data
    assert (baseline.unlabelled, kept.unlabelled, kept.pool) == (None, None, None)
    assert kept.hidden == 0.5
    digest = spec.digest
    dark = replace(source, decoding=Decoding(0))
    wild = with_unlabelled(spec.recipe, dark, Silent())[0].unlabelled
    assert (len(wild), wild.read.decoding) == (5, Decoding(0)), (
        "one rule for all that is learnt from"
    )
    again = reopen_data(data, Silent(), unlabelled=spec.unlabelled).unlabelled
    assert (again.ids, again.way_out) == (wild.ids, BACK)
    picture(folder / "00.png", colour=99)
    assert spec_of(*settings).digest != digest
    with pytest.raises(DamagedFile, match="no longer those"):
        reopen_data(data, Silent(), unlabelled=spec.unlabelled)


def test_images_that_are_measured_on_are_found_by_content(folder, tmp_path):
    for first, name in ((0, "cat"), (50, "dog")):  # the images of `folder`, and more
        pictures(tmp_path / "data" / name, 20, first=first)
    source, _ = open_data(str(tmp_path / "data"), Silent(), surveyed=False)
    measured = (*source.validation.ids, *source.test.ids)
    here = {"cat/00.png", "cat/01.png", "cat/02.png", "dog/00.png", "dog/01.png"}
    assert measured_too(open_unlabelled(folder, Silent()), source, Silent()) == len(
        here & set(measured)
    )
    everything = open_unlabelled(tmp_path / "data", Silent())
    assert measured_too(everything, source, Silent()) == len(measured)
