"""RandAugment is timm's, seeded by each image's own key; what timm would pass over is refused."""

import contextlib
import random

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data.auto_augment import rand_augment_transform
from torch import Tensor

from kdcli.core.errors import UsageError
from kdcli.data.order import seeded_globals
from kdcli.data.randaugment import rand_augment
from kdcli.recipe.data import check_randaugment

TEXT = "rand-m9-n2-mstd0.5"
GOOD = (
    TEXT,
    "rand",
    "rand-m10",
    "rand-m0-n1-p0.3-inc1",
    "rand-n9-tweights",
    "rand-t3a-m7",
    "rand-t3aw-n9-p1.0-mstd101",
)


def images(n: int = 8) -> Tensor:
    numbers = np.random.default_rng(0).integers(0, 256, (n, 3, 20, 23), dtype=np.uint8)
    return torch.from_numpy(numbers)


def keys(n: int = 8) -> np.ndarray:
    return np.arange(n, dtype=np.uint64) * np.uint64((1 << 57) + 1)


@pytest.mark.parametrize("text", GOOD)
def test_it_is_timms(text: str) -> None:
    check_randaugment(text)
    change, given = rand_augment_transform(text), images()
    results = rand_augment(given, text, keys())
    assert results.dtype == torch.uint8
    compared = 0
    for one, key, result in zip(given, keys(), results, strict=True):
        with seeded_globals(int(key)), contextlib.suppress(ValueError):  # see the next test
            wanted = change(Image.fromarray(one.permute(1, 2, 0).contiguous().numpy()))
            assert np.array_equal(np.asarray(wanted), result.permute(1, 2, 0))
            compared += 1
    assert compared >= 4


@pytest.mark.parametrize("text", ["rand-m10-n9-p1-inc1", "rand-m0-n9-p1", "rand-n9-p1-mstd101"])
def test_posterizing_to_no_bit_at_all_ends_no_training(text: str) -> None:
    """timm asks for 0 bits at one end of the scale, which recent versions of Pillow refuse."""
    given = images(64)
    assert not torch.equal(rand_augment(given, text, keys(64)), given)


def test_it_changes_images_and_keys_change_it() -> None:
    given = images()
    first, other = (
        rand_augment(given, TEXT, keys()),
        rand_augment(given, TEXT, keys() + np.uint64(1)),
    )
    assert not torch.equal(first, given)
    assert not torch.equal(first, other)


def test_an_image_does_not_depend_on_its_batch() -> None:
    given = images()
    backwards = rand_augment(given.flip(0), TEXT, keys()[::-1]).flip(0)
    assert torch.equal(rand_augment(given, TEXT, keys()), backwards)


def test_floats_are_rounded_to_levels() -> None:
    levels = rand_augment(images(), TEXT, keys())
    assert torch.equal(rand_augment(images().float() / 255, TEXT, keys()), levels)


def test_the_global_generators_are_left_alone() -> None:
    np.random.seed(1)
    random.seed(1)
    expected = np.random.RandomState(1).rand(), random.Random(1).random()
    rand_augment(images(), TEXT, keys())
    assert (np.random.rand(), random.random()) == expected


@pytest.mark.parametrize("upper", [0, 1, 1 << 31])
def test_all_bits_of_a_key_count(upper: int) -> None:
    with seeded_globals(7):
        expected = np.random.rand(), random.random()
    with seeded_globals(7 + (upper << 32)):
        assert ((np.random.rand(), random.random()) == expected) == (upper == 0)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("rnd-m9", "expects 'rand', then"),
        ("augmix-m5", "expects 'rand', then"),
        ("", "expects 'rand', then"),
        ("rand-", "'' is no part"),
        ("rand-magnitude", "'magnitude' is no part"),
        ("rand-m", "'m' is no part"),
        ("rand-m9.5", "'m9.5' is no part"),
        ("rand-m15", "'m15' is no part"),
        ("rand-m9-n0", "'n0' is no part"),
        ("rand-p2", "'p2' is no part"),
        ("rand-mstdinf", "'mstdinf' is no part"),
        ("rand-tw", "'tw' is no part"),
        ("rand-m9-w0", "'w0' is no part"),
        ("rand_m9_n2", "expects 'rand', then"),
    ],
)
def test_what_timm_would_pass_over_or_assert_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong) as caught:
        check_randaugment(text)
    assert TEXT in caught.value.fix
