"""What is stated of images: of named sets, by files in their folder, by a card."""

from pathlib import Path

import pytest

from kdcli.data.licences import licence_of_data, recognised


@pytest.mark.parametrize(
    ("name", "licence"),
    [
        (None, "cc-by-4.0"),
        ("digits", "cc-by-4.0"),
        ("torch/fashion_mnist", "mit"),
        ("torch/MNIST", "cc-by-sa-3.0"),
        ("torch/cifar10", None),
        ("torch/inat", None),
        ("hfds/nobody/nothing-here", None),
        ("hfds/no name", None),
    ],
)
def test_named_sets(name: str | None, licence: str | None) -> None:
    found = licence_of_data(name)
    assert found.licence == licence
    assert bool(found.by) == (licence is not None), "whoever is named states something"


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("MIT License\n\nCopyright (c) 2024", "mit"),
        ("# hello\nSPDX-License-Identifier: CC-BY-4.0\n", "cc-by-4.0"),
        ("      Apache License\n   Version 2.0, January 2004", "apache-2.0"),
        ("BSD 3-Clause License", "bsd-3-clause"),
        ("Attribution 4.0 International\n", "cc-by-4.0"),
        ("Attribution-NonCommercial-ShareAlike 4.0 International", "cc-by-nc-sa-4.0"),
        ("Creative Commons Attribution-Share Alike 3.0", "cc-by-sa-3.0"),
        ("These images are under CC BY-NC 4.0.", "cc-by-nc-4.0"),
        ("Creative Commons Legal Code\n\nCC0 1.0 Universal", "cc0-1.0"),
        ("GNU General Public License", "gpl"),
        ("Ask Eva before you use these.", None),
        ("", None),
    ],
)
def test_texts_by_spdx_line_or_title(text: str, licence: str | None) -> None:
    assert recognised(text) == licence


@pytest.mark.parametrize("name", ["LICENSE", "licence.txt", "License.md", "COPYING"])
def test_a_file_beside_the_images(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("MIT License")
    (tmp_path / "labels.csv").write_text("image,label\n")
    for place in (tmp_path, tmp_path / "labels.csv"):
        found = licence_of_data(str(place))
        assert (found.licence, found.by) == ("mit", name)


def test_a_file_in_words_of_its_own_is_named(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_bytes(b"\xff Ask Eva.")
    found = licence_of_data(str(tmp_path))
    assert (found.licence, found.by) == (None, "LICENSE")


def test_a_folder_that_is_gone_or_silent(tmp_path: Path) -> None:
    assert licence_of_data(str(tmp_path)).licence is None
    (tmp_path / "LICENSE").write_text("MIT License")
    assert licence_of_data(str(tmp_path / "gone")).licence is None, "another folder's"


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: mit\n---\n# Set", "mit"),
        ("---\nlicense:\n- cc-by-nc-4.0\n---\n", "cc-by-nc-4.0"),
        ("---\nlicense: [mit, gpl]\n---\n", None),
        ("---\nlicense: {a: [\n---\n", None),
        ("# Set\n---\nlicense: mit\n---\n", None),
    ],
)
def test_the_card_of_a_hub_set(tmp_path: Path, card: str, licence: str | None) -> None:
    (tmp_path / "README.md").write_text(card)
    assert licence_of_data(f"hfds/{tmp_path}").licence == licence


def test_what_cannot_be_read_states_nothing(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError

    monkeypatch.setattr("pathlib.Path.iterdir", refused)
    assert licence_of_data(str(tmp_path)).licence is None
