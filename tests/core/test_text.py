"""Numbers and errors as people read them."""

import pytest

from kdcli.core.text import first_line, short, size_in_words


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
