"""Stages as they are, at the size a model is trained at."""

import pytest

from kdcli.core.errors import UnmetNeeds
from kdcli.models import stages
from kdcli.models.build import plan
from kdcli.models.stages import stages_of


def table(name, size):
    return stages_of(plan(name, 5, size, None))


def test_the_last_map_of_each_grid():
    found = table("test_resnet", 32)
    assert [(s.height, s.width) for s in found.stages] == [(16, 16), (8, 8), (4, 4), (2, 2), (1, 1)]
    assert [s.stride for s in found.stages] == [2, 4, 8, 16, 32]
    assert not found.columnar
    assert [s.stride for s in found.main] == [4, 8, 16, 32]


def test_a_vit_is_columnar_and_keeps_all_blocks():
    found = table("test_vit", 160)
    assert found.columnar
    assert len(found.stages) == 6
    assert {s.stride for s in found.stages} == {16}
    assert found.main == found.stages


def test_shapes_are_probed_not_believed():
    """timm's feature_info says that this stem has stride 2."""
    assert table("tresnet_m", 224).stages[0].stride == 4


def test_without_meta_tensors_a_real_image_is_shown(monkeypatch):
    def refuse(args):
        raise NotImplementedError(".item() of a meta tensor")

    expected = table("test_resnet", 32)
    monkeypatch.setattr(stages, "build_meta", refuse)
    assert table("test_resnet", 32) == expected


def test_a_model_that_shows_nothing_is_refused_in_words(monkeypatch):
    def refuse(*arguments):
        raise AttributeError("no forward_intermediates")

    monkeypatch.setattr(stages, "intermediates", refuse)
    with pytest.raises(UnmetNeeds, match="test_resnet does not show what its layers see"):
        table("test_resnet", 32)
