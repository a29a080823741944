"""The built-in digits: one fixed, stratified split."""

import numpy as np

from kdcli.data.sources.digits import open_digits


def test_counts_and_stratification() -> None:
    source = open_digits()
    splits = (source.train, source.validation, source.test)
    assert [len(split) for split in splits] == [1077, 180, 540]
    for split in splits:
        shares = np.bincount(split.labels, minlength=10) / len(split)
        assert np.ptp(shares) < 0.015


def test_splits_are_disjoint_and_whole() -> None:
    source = open_digits()
    ids = [*source.train.ids, *source.validation.ids, *source.test.ids]
    assert len(set(ids)) == len(ids) == 1797


def test_the_split_never_changes() -> None:
    source = open_digits()
    assert source.test.ids[:3] == ("digit-0001", "digit-0010", "digit-0017")
    assert source.validation.ids[:3] == ("digit-0021", "digit-0038", "digit-0047")


def test_images_are_rgb_over_the_whole_range() -> None:
    train = open_digits().train
    image = np.concatenate([train.read(i) for i in range(20)])
    assert image.shape == (160, 8, 3)
    assert image.dtype == np.uint8
    assert image.max() == 255
    assert (image[..., 0] == image[..., 2]).all()
