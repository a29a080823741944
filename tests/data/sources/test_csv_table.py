"""Tables of images: what they may look like, and how each mistake is named."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kdcli.core.errors import DataError, ExitCode
from kdcli.data.open import location, open_source
from kdcli.data.source import Source
from kdcli.data.sources.csv_table import open_table
from kdcli.data.sources.folder import open_folder

COUNT = 40
NAMES = [f"bilder/ä {i:02d}.png" for i in range(COUNT)]
LABELS = [("rot", "blau")[i % 2] for i in range(COUNT)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bilder").mkdir()
    for i, name in enumerate(NAMES):
        Image.new("RGB", (10, 12), (i, 0, 0)).save(tmp_path / name)
    return tmp_path


def table(folder: Path, *rows: str, head: str = "image,label", encoding: str = "utf-8") -> Path:
    path = folder / "labels.csv"
    path.write_bytes("\n".join([head, *rows]).encode(encoding))
    return path


def plain() -> list[str]:
    return [f"{name},{label}" for name, label in zip(NAMES, LABELS, strict=True)]


def sizes(source: Source) -> list[int]:
    return [len(split) for split in (source.train, source.validation, source.test)]


def refused(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        open_table(path)
    assert caught.value.code == ExitCode.DATA
    assert caught.value.fix
    assert str(path) in caught.value.what
    return caught.value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_without_splits_is_divided_as_a_folder_is(folder: Path, encoding: str) -> None:
    source = open_table(table(folder, *plain(), encoding=encoding))
    assert source.classes == ("blau", "rot")
    assert sizes(source) == [28, 4, 8]
    assert set(source.carved) == {"validation", "test"}
    assert source.train.read(0).shape == (12, 10, 3)
    for i, name in enumerate(NAMES):
        (folder / "as folder" / LABELS[i]).mkdir(parents=True, exist_ok=True)
        (folder / name).rename(folder / "as folder" / LABELS[i] / f"{i:02d}.png")
    as_folder = open_folder(folder / "as folder")
    assert sizes(as_folder) == sizes(source)
    assert as_folder.classes == source.classes


def test_columns_in_any_order_and_splits_by_any_name(folder: Path) -> None:
    words = ["Train"] * 30 + ["valid"] * 4 + ["TEST"] * 6
    rows = [f"{w};x;{n};{i % 2}" for i, (w, n) in enumerate(zip(words, NAMES, strict=True))]
    source = open_table(table(folder, *rows, head="split;Note;Image;LABEL"))
    assert sizes(source) == [30, 4, 6]
    assert source.carved == {}
    assert source.notes == ("columns ignored: Note",)


def test_a_lone_validation_split_is_the_test_set(folder: Path) -> None:
    words = ["train"] * 30 + ["val"] * 10
    rows = [f"{n},{i % 2},{w}" for i, (w, n) in enumerate(zip(words, NAMES, strict=True))]
    source = open_table(table(folder, *rows, head="image,label,split"))
    assert sizes(source) == [27, 3, 10]
    assert "validation is the test set" in source.notes[0]


def test_whole_numbers_are_classes_in_their_order(folder: Path) -> None:
    rows = [f"{name},{i % 11}" for i, name in enumerate(NAMES)]
    assert open_table(table(folder, *rows)).classes == tuple(map(str, range(11)))


def test_paths_may_be_absolute(folder: Path) -> None:
    rows = [f"{folder / name},{i % 2}" for i, name in enumerate(NAMES)]
    assert sizes(open_table(table(folder, *rows))) == [28, 4, 8]


def test_identity_is_of_images_labels_and_splits_not_of_the_order(folder: Path) -> None:
    def identity(*rows: str) -> object:
        return open_table(table(folder, *rows)).identity

    first = identity(*plain())
    assert identity(*reversed(plain())) == first
    assert identity(f"{NAMES[0]},blau", *plain()[1:]) != first
    Image.new("RGB", (10, 12), (200, 0, 0)).save(folder / NAMES[0])
    assert identity(*plain()) != first


def test_repeated_rows_are_counted(folder: Path) -> None:
    source = open_table(table(folder, *plain(), plain()[3], plain()[4]))
    assert source.notes[0] == "2 rows repeat an earlier one: ignored"
    assert sum(sizes(source)) == COUNT


def test_it_is_data_by_its_suffix_and_found_again_from_anywhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table(folder, *plain())
    assert open_source(str(path)).name == "labels"
    monkeypatch.chdir(folder)
    assert location("labels.csv") == str(path.resolve())
    assert np.array_equal(open_source("labels.csv").test.labels, open_table(path).test.labels)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("image,class", "no column 'label' (there: 'image', 'class'); is it 'class'?"),
        ("image,lable", "is it 'lable'? Then call it 'label'"),
        ("path,label", "no column 'image' (there: 'path', 'label'); is it 'path'?"),
        ("image,label,label", "column 'label' stands there twice"),
    ],
)
def test_wrong_columns(folder: Path, head: str, words: str) -> None:
    assert words in refused(table(folder, *plain(), head=head)).what


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (f"{NAMES[5]},,train", ":42: no label"),
        (",rot,train", ":42: no image"),
        (f"{NAMES[5]},rot,tset", ":42: unknown split 'tset'; did you mean 'test'?"),
        (f"{NAMES[5]},rot", ":42: 2 cells, 3 columns"),
        (f"{NAMES[5]},rot,train", ":42: bilder/ä 05.png is 'rot' here and 'blau' in line 7"),
        (f"./{NAMES[5]},blau,test", ":42: bilder/ä 05.png is in test here and in train in line 7"),
        ("bilder/neu.png,rot,train", "1 of 41 images is not there: bilder/neu.png (line 42)"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(folder: Path, row: str, words: str) -> None:
    rows = [f"{line},train" for line in plain()]
    assert words in refused(table(folder, *rows, row, head="image,label,split")).what


def test_all_absent_images_are_counted_and_ten_are_named(folder: Path) -> None:
    what = refused(table(folder, *plain(), *(f"gone{i}.png,rot" for i in range(25)))).what
    assert "25 of 65 images are not there: gone0.png (line 42), " in what
    assert "gone9.png (line 51) and 15 more" in what
    assert "gone10.png" not in what


def test_labels_of_test_alone(folder: Path) -> None:
    rows = [f"{line},train" for line in plain()[:30]] + [f"{NAMES[35]},rott,test"]
    what = refused(table(folder, *rows, head="image,label,split")).what
    assert "in test: rott (line 32); did you mean 'rot'?" in what


def test_no_task(folder: Path) -> None:
    assert "one class only (a)" in refused(table(folder, *(f"{n},a" for n in NAMES))).what
    assert "no rows" in refused(table(folder)).what
    assert "no column 'image' (there: 'bilder" in refused(table(folder, head=plain()[0])).what
    rows = (f"{line},test" for line in plain())
    assert (
        "no image is in split train" in refused(table(folder, *rows, head="image,label,split")).what
    )


def test_other_encodings_are_named(folder: Path) -> None:
    error = refused(table(folder, *plain(), encoding="latin-1"))
    assert "not UTF-8" in error.what
    assert "UTF-8" in error.fix


# Not for kd -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [";", "|"])
def test_several_labels_in_a_cell(folder: Path, sign: str) -> None:
    labels = ("cat", f"cat{sign}dog", "dog")
    what = refused(table(folder, *(f"{n},{labels[i % 3]}" for i, n in enumerate(NAMES)))).what
    assert f":3: not for kd: several labels per image ('cat{sign}dog')" in what


@pytest.mark.parametrize(
    "cell",
    ["cat,dog", "cat, dog", "['cat', 'dog']", "[1, 0, 1]", "('cat', 'x')", "{'a': 1, 'b': 1}"],
)
def test_several_labels_joined_by_commas_or_as_a_list(folder: Path, cell: str) -> None:
    labels = ("cat", f'"{cell}"', "dog")
    what = refused(table(folder, *(f"{n},{labels[i % 3]}" for i, n in enumerate(NAMES)))).what
    assert f":3: not for kd: several labels per image ('{cell}')" in what


def test_a_class_may_have_a_comma_in_its_name(folder: Path) -> None:
    names = ("jay, blue", "jay", "[sic] bird (a, b)")
    rows = (f'{n},"{names[i % 3]}"' for i, n in enumerate(NAMES))
    assert open_table(table(folder, *rows)).classes == tuple(sorted(names))


def test_a_class_may_have_a_bar_in_its_name(folder: Path) -> None:
    rows = (f"{n},{('AC|DC', 'Abba')[i % 2]}" for i, n in enumerate(NAMES))
    assert open_table(table(folder, *rows)).classes == ("AC|DC", "Abba")


def test_columns_of_zero_and_one(folder: Path) -> None:
    rows = (f"{n},{i % 2},{i % 3 // 2}" for i, n in enumerate(NAMES))
    what = refused(table(folder, *rows, head="image,cat,dog")).what
    assert "several labels per image (columns of 0 and 1: cat, dog)" in what


def test_numbers_to_be_predicted(folder: Path) -> None:
    what = refused(table(folder, *(f"{n},{i * 1.37:.2f}" for i, n in enumerate(NAMES)))).what
    assert "not for kd: regression (labels are numbers such as 1.37, 40 different ones" in what


def test_few_different_fractions_are_classes(folder: Path) -> None:
    rows = (f"{n},{(0.5, 1.5)[i % 2]}" for i, n in enumerate(NAMES))
    assert open_table(table(folder, *rows)).classes == ("0.5", "1.5")


def test_labels_that_are_one_number_have_one_order(folder: Path) -> None:
    labels = ("1", "01", "2", "10")
    rows = [f"{name},{labels[i % 4]}" for i, name in enumerate(NAMES)]
    for ordered in (rows, rows[::-1]):
        source = open_table(table(folder, *ordered))
        assert source.classes == ("01", "1", "2", "10")
        assert any("01 and 1" in note for note in source.notes)


def test_labels_stand_in_their_order_as_stored(folder: Path) -> None:
    """Written on a Mac, the umlaut is two characters, of which the first is A."""
    rows = [f"{name},{('Äpfel', 'Birne')[i % 2]}" for i, name in enumerate(NAMES)]
    here = open_table(table(folder, *rows))
    decomposed = [row.replace("Äpfel", unicodedata.normalize("NFD", "Äpfel")) for row in rows]
    there = open_table(table(folder, *decomposed))
    assert (here.classes, there.classes) == (("Birne", "Äpfel"), ("Äpfel", "Birne"))
    assert here.identity != there.identity
