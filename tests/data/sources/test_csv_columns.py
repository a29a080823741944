"""Tables as others write them: one-hot columns, Windows' paths, other words for splits."""

from pathlib import Path

import pytest
from pictures import lines, pictures

from kdcli.core.errors import DataError
from kdcli.data.sources.csv_table import open_table


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of 20 pictures, ten in photos/cat and ten in photos/dog."""
    for i, name in enumerate(("cat", "dog")):
        pictures(tmp_path / "photos" / name, 10, first=20 * i)
    return tmp_path


def images(sign: str = "/") -> list[tuple[str, str]]:
    """Path and class of each."""
    found = [(name, f"{i:02d}.png") for name in ("cat", "dog") for i in range(10)]
    return [(sign.join(("photos", name, file)), name) for name, file in found]


@pytest.mark.parametrize(("off", "on"), [("0", "1"), ("0.0", "1.0"), ("False", "True")])
def test_one_hot_columns_are_one_label(place: Path, off: str, on: str) -> None:
    rows = [(i, on if name == "cat" else off, on if name == "dog" else off) for i, name in images()]
    table = place / "hot.csv"
    table.write_text(lines(("image", "Cat", "dog", "age"), *((*row, 7) for row in rows)))
    source = open_table(table)
    assert source.classes == ("Cat", "dog")
    labels = dict(zip(source.train.ids, source.train.labels.tolist(), strict=True))
    assert labels == {name: int("dog" in name) for name in labels}
    said = "labels: of columns Cat, dog, the one with a 1", "columns ignored: age"
    assert source.notes[:2] == said
    table.write_text(lines(("image", "Cat", "dog"), *((row[0], on, on) for row in rows)))
    with pytest.raises(DataError, match="several labels per image"):
        open_table(table)
    table.write_text(lines(("image", "Cat", "dog"), *((*row[:2], off) for row in rows)))
    with pytest.raises(DataError, match=r"hot.csv:\d+: no label"):
        open_table(table)


def test_paths_as_windows_writes_them(place: Path) -> None:
    found = []
    for sign in ("/", "\\"):
        (place / "table.csv").write_text(lines(("image", "label"), *images(sign)))
        found.append(open_table(place / "table.csv").identity)
    assert found[0] == found[1]


@pytest.mark.parametrize("words", [("Training", "Testing"), ("train_set", "dev")])
def test_splits_in_other_words(place: Path, words: tuple[str, str]) -> None:
    rows = [(image, name, words[image.endswith("9.png")]) for image, name in images()]
    (place / "a.csv").write_text(lines(("image", "label", "split"), *rows))
    assert len(open_table(place / "a.csv").test) == 2
