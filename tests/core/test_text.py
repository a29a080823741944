"""Numbers and errors as people read them."""

import json
import re
from pathlib import Path

import pytest

from kdcli.core.json_text import to_json
from kdcli.core.text import (
    first_line,
    message,
    points,
    short,
    shown,
    signed,
    size_in_words,
    span,
    visible,
)


@pytest.mark.parametrize(
    ("number", "in_short", "as_size"),
    [
        (0, "0", "0 B"),
        (999, "999", "999 B"),
        (1_000, "1.00k", "1 kB"),
        (217_000_000, "217M", "217 MB"),
        (5_483_032, "5.48M", "5.48 MB"),
        (7_100_000_000, "7.10G", "7.1 GB"),
    ],
)
def test_three_digits_count(number, in_short, as_size):
    assert short(number) == in_short
    assert size_in_words(number) == as_size


def test_what_rounds_to_a_million_counts_in_millions():
    assert short(999_400) == "999k"
    assert short(999_600) == "1.00M"


def test_an_error_that_says_nothing_is_called_by_its_kind():
    assert first_line(ValueError("no such node\nat line 3")) == "no such node"
    assert first_line(ValueError("\n  late\n")) == "late"
    assert first_line(KeyError()) == "KeyError"
    assert first_line(StopIteration(), otherwise="none left") == "none left"


def test_a_difference_that_rounds_to_nothing_has_no_minus() -> None:
    assert [points(x) for x in (-0.0004, -0.0, 0.0, -0.0006)] == [
        *["+0.0 points"] * 3,
        "-0.1 points",
    ]
    assert span(-0.0001, 0.0001) == "+0.0 to +0.0"
    assert signed(-0.0004, ".1%") == "+0.0%"


def test_numbers_with_a_sign_are_written_in_one_place() -> None:
    root = Path(__file__).parents[2]
    files = [*root.glob("kdcli/**/*.py"), *root.glob("benchmarks/*.py")]
    found = {f.name for f in files if re.search(r"\{[^{}\"]*:\+", f.read_text("utf-8"))}
    assert found == {"text.py"}


def test_signs_that_turn_text_around_are_spelled_out() -> None:
    turned = "a\u202egpj.exe\u2066\u2028\n"
    assert shown(turned) == r"a\u202egpj.exe\u2066\u2028\n"
    assert visible(turned) == "a\\u202egpj.exe\\u2066\\u2028\n"
    assert message("one\ntwo") == "one\n  two"
    assert shown("שלום\u200f!") == "שלום\u200f!"


def test_a_document_means_the_same() -> None:
    known = {"a": "\x9b\u202e\x7f ä"}
    assert json.loads(to_json(known)) == known
    assert visible(to_json(known)) == to_json(known)
