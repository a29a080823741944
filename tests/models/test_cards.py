"""What timm states about a name."""

import timm

from kdcli.models.cards import card


def test_a_name_without_a_tag_means_timms_default_weights():
    found = card("resnet101")
    assert found.family == "resnet"
    assert found.weights.tag == timm.get_pretrained_cfg("resnet101").tag
    assert found.weights.hub == f"timm/resnet101.{found.weights.tag}"
    assert found.weights.classes == 1000
    assert (found.input_size, found.fixed_input_size) == (224, False)


def test_other_weights_are_all_but_its_own():
    found = card("resnet101.tv2_in1k")
    assert found.weights.tag == "tv2_in1k"
    assert found.weights.licence == "bsd-3-clause"
    others = {tag.name for tag in found.others}
    assert "tv2_in1k" not in others
    assert others | {"tv2_in1k"} == {
        name.partition(".")[2] for name in timm.list_pretrained("resnet101.*")
    }
    assert next(t.licence for t in found.others if t.name == "tv_in1k") == "bsd-3-clause"


def test_an_architecture_without_weights():
    found = card("lcnet_035")
    assert found.weights is None
    assert found.others == ()


def test_normalisation_is_that_of_the_weights():
    assert card("mobilevit_s").mean == (0.0, 0.0, 0.0)
    assert card("vit_tiny_patch16_224").fixed_input_size


def test_every_model_has_a_card():
    for name in timm.list_models():
        assert card(name).name == name
