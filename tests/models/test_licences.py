"""Licences of weights: free ones pass in silence, others are told what they are."""

import pytest

from kdcli.models.licences import is_non_commercial, licence_of, licence_warning


def test_free_licences_need_no_words():
    assert licence_of("resnet101") == "apache-2.0"
    assert licence_of("resnet101.tv2_in1k") == "bsd-3-clause"
    assert licence_warning("resnet101") is None
    assert licence_warning("resnet101.tv2_in1k") is None


@pytest.mark.parametrize("name", ["convnextv2_atto", "regnety_320.seer", "fastvit_mci0"])
def test_non_commercial_weights_are_warned_about(name):
    warning = licence_warning(name)
    assert str(licence_of(name)) in warning
    assert "forbids commercial use" in warning
    assert name in warning


@pytest.mark.parametrize("name", ["res2net50_14w_8s", "cpubone_nano", "no_such_model"])
def test_unknown_licences_are_warned_about(name):
    assert licence_of(name) is None
    assert "is not known" in licence_warning(name)


def test_licences_of_their_own_are_named():
    assert "mobileone-license, which has conditions of its own" in licence_warning("mobileone_s0")


@pytest.mark.parametrize(
    ("licence", "forbids"),
    [
        ("cc-by-nc-4.0", True),
        ("CC-BY-NC-SA-4.0", True),
        ("fair-noncommercial-research-license", True),
        ("some-non-commercial", True),
        ("apple-amlr", True),
        ("mit", False),
        ("apple-ascl", False),
        ("cc-by-4.0", False),
    ],
)
def test_what_counts_as_non_commercial(licence, forbids):
    assert is_non_commercial(licence) == forbids
