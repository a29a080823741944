"""Which classes there are, and in which order."""

import itertools
import unicodedata

import pytest

from kdcli.data.class_list import class_list, in_order, one_number, order_digest


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def test_two_spellings_of_one_name_take_the_place_of_the_first() -> None:
    spellings = [nfd("Äpfel"), "Birne", "Zitrone", "Äpfel"]
    found = class_list(sorted(spellings))
    assert found.names == ("Äpfel", "Birne", "Zitrone")
    assert [found.index[one] for one in spellings] == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("ordered", "why"),
    [
        (["2", "10", "11"], "numbers, not letters"),
        (["-1", "0", "3"], "numbers may be negative"),
        (["-0", "0", "00", "01", "1", "2"], "one number, several labels: by code points"),
        (["10", "2", "a"], "letters, where one is no number"),
        (["A", nfd("Ä"), "B", "a", "Ä"], "code points as stored"),
        (["1", "2", "²"], "a digit, but no whole number"),
    ],
)
def test_one_order_whatever_comes_first(ordered: list[str], why: str) -> None:
    for permuted in itertools.islice(itertools.permutations(ordered), 200):
        assert in_order(permuted) == ordered, why


def test_labels_that_are_one_number_are_told_of() -> None:
    (note,) = one_number(["01", "1", "2"])
    assert "01 and 1" in note
    assert one_number(["1", "2"]) == one_number(["a", "01"]) == ()


def test_the_order_is_part_of_the_digest() -> None:
    assert order_digest(["a", "b"]) != order_digest(["b", "a"])
