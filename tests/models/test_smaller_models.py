"""A smaller model of the same kind."""

import pytest

from kdcli.models.cards import smaller_sibling


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "smaller"),
    [("resnet101", "resnet34"), ("resnet101.a1_in1k", "resnet34"), ("resnet18", None)],
)
def test_the_largest_of_at_most_half_the_size(name, smaller):
    assert smaller_sibling(name) == smaller
