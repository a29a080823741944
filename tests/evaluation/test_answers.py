"""A running mean is the mean of all; what several are called."""

import numpy as np
import pytest
import torch

from kdcli.core.functional import as_one
from kdcli.core.records import Panel
from kdcli.core.text import counted_names, ensemble_name, total
from kdcli.evaluation.answers import together

LOGITS = np.random.default_rng(0).normal(size=(4, 6, 5)).astype(np.float32) * 5
"""Four members, six images, five classes."""


@pytest.mark.parametrize("aggregate", ["probabilities", "logits"])
def test_the_running_mean_is_what_a_panel_answers(aggregate: str) -> None:
    panel = Panel((0.1, 0.2, 0.3, 0.4), aggregate)  # type: ignore[arg-type]
    before = LOGITS.copy()
    expected = as_one(torch.from_numpy(LOGITS).transpose(0, 1), panel).numpy()
    np.testing.assert_allclose(together(iter(LOGITS), panel), expected, atol=1e-5)
    assert (before == LOGITS).all()


def test_sure_members_leave_no_infinity() -> None:
    sure = np.array([[0.0, 2000.0]], np.float32)
    np.testing.assert_allclose(together([sure, sure], Panel((0.5, 0.5))), [[-2000.0, 0.0]])


def test_members_and_weights_are_as_many() -> None:
    with pytest.raises(ValueError, match="shorter"):
        together(LOGITS[:1], Panel((0.5, 0.5)))


def test_what_an_ensemble_is_called() -> None:
    assert ensemble_name(["a"] * 5) == "ensemble of 5: a x 5"
    assert ensemble_name(["a", "b", "a", "a"]) == "ensemble of 4: a x 3, b"
    assert counted_names("abcde") == "a, b, c and 2 more"


def test_what_is_not_known_of_all_is_not_summed() -> None:
    assert total([1, 2, 3]) == 6
    assert total([1, None]) is None
