"""What was compared once is known, whatever comes, goes and comes back."""

from pathlib import Path

from kdcli.core.arrays import Pixels
from kdcli.core.row_cache import keys_of
from kdcli.data.quality.compared import recall, remember


def of(letters: str) -> Pixels:
    return keys_of(letter.encode() for letter in letters)


def new(path: Path, one: str, other: str) -> tuple[str, str, list[tuple[int, int]]]:
    found = recall(path, of(one), of(other))
    first = (a for a, is_new in zip(one, found.new_one, strict=True) if is_new)
    second = (a for a, is_new in zip(other, found.new_other, strict=True) if is_new)
    return "".join(first), "".join(second), found.pairs


def test_only_what_is_new_is_to_be_compared(tmp_path: Path) -> None:
    path = tmp_path / "compared" / "x.rows"
    assert new(path, "abc", "xyz") == ("abc", "xyz", [])
    remember(path, of("abc"), of("xyz"), [(0, 1), (2, 2)])
    assert new(path, "abc", "xyz") == ("", "", [(0, 1), (2, 2)])
    assert new(path, "dcba", "zwxy") == ("d", "w", [(1, 0), (3, 3)])
    assert new(path, "abc", "xyyz") == ("", "", [(0, 1), (0, 2), (2, 3)]), "a copy has one, too"
    assert new(path, "", "") == ("", "", [])


def test_who_has_lost_its_partner_is_compared_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.rows"
    remember(path, of("abc"), of("xyz"), [(0, 1)])
    assert new(path, "bc", "xyz") == ("", "y", [])


def test_what_has_gone_is_new_when_it_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "x.rows"
    remember(path, of("abc"), of("xyz"), [(0, 1)])
    remember(path, of("ab"), of("xw"), [])
    assert new(path, "abc", "xyw") == ("c", "y", [])


def test_a_damaged_file_knows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.rows"
    remember(path, of("ab"), of("x"), [(0, 0)])
    whole = path.read_bytes()
    for i in range(len(whole)):
        path.write_bytes(whole[:i])
        assert new(path, "ab", "x") == ("ab", "x", [])
