"""Licences of weights: free ones pass in silence, others are told what they are."""

from collections import Counter

import pytest
import timm

from kdcli.models.licences import (
    free_weights,
    is_free,
    is_non_commercial,
    licence_of,
    licence_warning,
    stated,
    terms,
    weights_name,
)


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


@pytest.mark.parametrize(
    "licence", ["MIT", "CC BY 4.0", "cc-by-3.0", "BSD 3-Clause", "Unlicense", "isc", "Zlib", "bsd"]
)
def test_free_ones_however_they_are_spelled(licence):
    assert is_free(licence)
    assert terms(licence) == "is permissive"


@pytest.mark.parametrize("licence", ["CC-BY-SA-4.0", "gpl-3.0", "AGPL-3.0-only", "odbl"])
def test_share_alike_is_neither_permissive_nor_non_commercial(licence):
    assert not is_free(licence)
    assert not is_non_commercial(licence)
    assert terms(licence).startswith("is share-alike")


@pytest.mark.parametrize("licence", ["openrail", "cc-by-nd-4.0", "gemma", "own words"])
def test_others_have_conditions(licence):
    assert terms(licence) == "has conditions of its own"


def test_words_that_state_nothing():
    assert [stated(words) for words in ("", " other ", "Unknown", None, 3)] == [None] * 5
    assert stated(" MIT ") == "MIT"


def test_the_tag_of_the_weights_that_a_name_stands_for():
    assert weights_name("convnextv2_atto") == "convnextv2_atto.fcmae_ft_in1k"
    assert weights_name("resnet50.tv2_in1k") == "resnet50.tv2_in1k"
    assert weights_name("no_such_model") == "no_such_model"


def test_free_weights_of_the_same_architecture():
    found = free_weights("resnet50.fb_ssl_yfcc100m_ft_in1k")
    assert found["resnet50.tv2_in1k"] == "bsd-3-clause"
    assert all(is_free(licence) for licence in found.values())
    assert "resnet50.fb_ssl_yfcc100m_ft_in1k" not in found
    assert free_weights("convnextv2_atto") == {}


@pytest.mark.skipif(timm.__version__ != "1.0.31", reason="counted of that version")
def test_how_many_of_timms_weights_are_of_which_kind():
    """The figures that the documentation gives."""
    licences = [licence_of(name) for name in timm.list_pretrained()]
    assert (len(licences), licences.count("cc-by-nc-4.0")) == (1826, 88)
    assert Counter(terms(licence) if licence else "unknown" for licence in licences) == {
        "is permissive": 1593,
        "forbids commercial use": 112,
        "has conditions of its own": 96,
        "unknown": 25,
    }
