"""A name becomes a module: resolved aloud, sized to the images, seeded."""

import json

import pytest
import timm
import torch
import torchvision
from torch import nn

from kdcli.core.errors import UsageError
from kdcli.models.build import build, build_meta, plan, resolve, seeded
from kdcli.models.families import FAMILIES, TORCHVISION
from kdcli.models.model_args import ModelArgs
from kdcli.models.stem import set_stem_stride


def shape(args):
    """What the planned module answers to two images of its input size."""
    size = args.input_size
    with torch.no_grad():
        images = torch.empty(2, 3, size, size, device="meta")
        return tuple(build_meta(args).eval()(images).shape)


def same(one, other):
    first, second = one.state_dict(), other.state_dict()
    return all(torch.equal(first[key], second[key]) for key in first)


# Names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet101", "test_vit", "resnet18.a1_in1k"])
def test_a_timm_name_stays_and_nothing_is_said(name):
    assert (resolve(name).name, resolve(name).said) == (name, "")


def test_a_family_becomes_its_smallest_standard_variant_aloud():
    found = resolve("mobilenetv3")
    assert found.name == "mobilenetv3_small_100"
    assert found.said.startswith("mobilenetv3 -> mobilenetv3_small_100; also ")
    assert "mobilenetv3_large_100" in found.said
    assert found.said.count("mobilenetv3_small_100") == 1


@pytest.mark.parametrize(
    ("name", "near"),
    [("mobilnetv3", "mobilenetv3"), ("ResNet18", "resnet18"), ("resnt", "resnet")],
)
def test_an_unknown_name_gets_did_you_mean(name, near):
    with pytest.raises(UsageError) as caught:
        resolve(name)
    assert f"'{name}'" in caught.value.what
    assert f"did you mean '{near}'?" in caught.value.what
    assert caught.value.fix


def test_the_beginning_of_a_name_shows_what_it_could_be():
    with pytest.raises(UsageError) as caught:
        resolve("vit_tiny")
    assert "'vit_tiny' is no model of timm" in caught.value.what
    assert "vit_tiny_patch16_224" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("vit_b_16", "vit_base_patch16_224"),
        ("mobilenet_v3_large", "mobilenetv3_large_100"),
        ("timm/resnet18.a1_in1k", "hf-hub:timm/resnet18.a1_in1k, or its model's name: resnet18."),
        ("microsoft/resnet-50", "hf-hub:microsoft/resnet-50"),
    ],
)
def test_names_of_other_places_are_told_by_timms(name, instead):
    with pytest.raises(UsageError) as caught:
        resolve(name)
    assert instead in caught.value.fix


def test_every_name_of_torchvision_is_one_of_timm():
    theirs = set(torchvision.models.list_models(module=torchvision.models))
    assert all(map(timm.is_model, TORCHVISION.values()))
    assert TORCHVISION.keys() <= theirs
    assert not [name for name in TORCHVISION if timm.is_model(name) or name in FAMILIES]


@pytest.mark.parametrize("name", ["", "zzzz", "../model", "-1"])
def test_names_that_are_like_nothing_are_refused(name):
    with pytest.raises(UsageError):
        resolve(name)


def test_an_unknown_pretrained_tag_is_refused():
    with pytest.raises(UsageError):
        resolve("resnet18.nope")


# Sizes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "input_size", "img_size"),
    [
        ("mobilenetv3_small_100", 32, None),
        ("test_resnet", 32, None),
        ("test_vit", 32, 32),
        ("swin_tiny_patch4_window7_224", 32, 32),
        ("inception_v3", 299, None),
    ],
)
def test_a_model_is_planned_for_small_images(name, input_size, img_size):
    args = plan(name, 10, 32, None)
    assert (args.name, args.num_classes) == (name, 10)
    assert (args.input_size, args.img_size) == (input_size, img_size)
    assert shape(args) == (2, 10)


def test_a_size_that_patches_do_not_divide_falls_back_to_the_models_own():
    args = plan("test_vit", 10, 30, None)
    assert (args.input_size, args.img_size) == (160, None)
    assert shape(args) == (2, 10)


def test_a_plan_brings_the_models_own_normalisation():
    assert plan("test_vit", 3, 32, None).mean == (0.5, 0.5, 0.5)
    assert plan("mobilenetv3_small_100", 3, 32, None).mean == (0.485, 0.456, 0.406)


def test_arguments_survive_a_file():
    args = plan("test_vit", 10, 32, None)
    assert ModelArgs.from_dict(json.loads(json.dumps(args.as_dict()))) == args
    assert ModelArgs.from_dict(args.as_dict()) == args


def test_the_built_module_keeps_timms_keys():
    args = plan("test_resnet", 7, 32, None)
    assert list(build(args).state_dict()) == list(
        timm.create_model("test_resnet", num_classes=7).state_dict()
    )
    assert {p.device.type for p in build_meta(args).parameters()} == {"meta"}


# The stem ----------------------------------------------------------------------------------------


def test_stem_stride_one_for_a_resnet():
    plain = timm.create_model("resnet18", num_classes=5).eval()
    keys = list(plain.state_dict())
    before = plain.forward_features(torch.zeros(1, 3, 32, 32)).shape
    set_stem_stride(plain, 1)
    assert plain.conv1.stride == (1, 1)
    assert not any(isinstance(m, nn.MaxPool2d) for m in plain.modules())
    assert list(plain.state_dict()) == keys
    after = plain.forward_features(torch.zeros(1, 3, 32, 32)).shape
    assert (tuple(before), tuple(after)) == ((1, 512, 1, 1), (1, 512, 4, 4))
    assert plain(torch.zeros(2, 3, 32, 32)).shape == (2, 5)


def test_stem_stride_one_for_a_mobilenet():
    model = timm.create_model("mobilenetv3_small_100", num_classes=5).eval()
    keys = list(model.state_dict())
    set_stem_stride(model, 1)
    strides = [m.stride[0] for m in model.modules() if isinstance(m, nn.Conv2d)]
    other = timm.create_model("mobilenetv3_small_100")
    own = [m.stride[0] for m in other.modules() if isinstance(m, nn.Conv2d)]
    assert strides == [1, *own[1:]] != own
    assert list(model.state_dict()) == keys
    assert tuple(model.forward_features(torch.zeros(1, 3, 32, 32)).shape)[-2:] == (2, 2)


def test_stem_stride_two_keeps_the_pool():
    model = timm.create_model("resnet18")
    set_stem_stride(model, 2)
    assert model.conv1.stride == (2, 2)
    assert isinstance(model.maxpool, nn.MaxPool2d)


def test_the_stem_is_part_of_what_is_built():
    args = plan("resnet18", 5, 32, 1)
    assert args.stem_stride == 1
    assert build(args).conv1.stride == (1, 1)
    assert build(ModelArgs("resnet18", 5, 32)).conv1.stride == (2, 2)


@pytest.mark.parametrize("name", ["test_vit", "convnext_atto", "vgg11"])
def test_a_stem_that_cannot_be_changed_is_refused(name):
    with pytest.raises(UsageError) as caught:
        plan(name, 5, 32, 1)
    assert "stem_stride" in caught.value.fix


# Seeds -------------------------------------------------------------------------------------------

ARGS = ModelArgs("test_resnet", 5, 32)


def seeded_build(seed=0, role="student"):
    with seeded(seed, role):
        return build(ARGS)


def test_the_same_seed_gives_the_same_weights_whatever_was_built_before():
    first = seeded_build()
    torch.randn(1000)
    build(ModelArgs("test_efficientnet", 3, 32))
    assert same(first, seeded_build())


@pytest.mark.parametrize(("seed", "role"), [(1, "student"), (0, "teacher")])
def test_another_seed_or_role_gives_other_weights(seed, role):
    assert not same(seeded_build(), seeded_build(seed, role))


def test_the_shared_generator_is_left_as_it_was():
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    seeded_build()
    assert torch.equal(torch.randn(3), expected)


# Further arguments -------------------------------------------------------------------------------


def test_options_shape_the_model_and_survive_json():
    args = plan("test_vit", 5, 64, None, {"global_pool": "avg", "class_token": False})
    assert ModelArgs.from_dict(json.loads(json.dumps(args.as_dict()))) == args
    assert "cls_token" not in build(args).state_dict()
    assert "cls_token" in build(plan("test_vit", 5, 64, None)).state_dict()


@pytest.mark.parametrize(
    "options", [{"checkpoint_path": "x"}, {"pretrained": True}, {"a": [1]}, {"b": {"c": 1}}]
)
def test_options_that_are_no_plain_arguments_are_refused(options):
    raw = ModelArgs("test_resnet", 5, 32).as_dict() | {"options": options}
    with pytest.raises(UsageError, match="none that kd passes on"):
        ModelArgs.from_dict(raw)


def test_what_an_older_kd_wrote_has_no_options():
    raw = ModelArgs("test_resnet", 5, 32).as_dict()
    del raw["options"]
    assert ModelArgs.from_dict(raw) == ModelArgs("test_resnet", 5, 32)
