"""Somebody else's weights: found whatever they are wrapped in, fitted key by key."""

from collections import OrderedDict
from dataclasses import replace

import pytest
import timm
import torch
import torchvision
from torch import nn

from kdcli.core.errors import DamagedFile, UsageError
from kdcli.models.build import build, plan, seeded
from kdcli.models.foreign import fitting
from kdcli.models.foreign.fitting import classifier_keys, reordered, start
from kdcli.models.foreign.state_dicts import Found, find_states
from kdcli.models.model_args import ModelArgs

ARGS = ModelArgs("test_resnet", num_classes=2, input_size=32)
"""Two classes of its own: how many the weights answer is found in them."""


def weights(classes=5, name="test_resnet"):
    """A state dict with something in every buffer."""
    with seeded(1, name):
        model = timm.create_model(name, num_classes=classes)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
    return model.state_dict()


def fit(state, args, where):
    return fitting.fit((Found(state),), args, where)


def taken(raw, args=ARGS):
    """What is read of somebody's file for this model."""
    return fitting.fit(find_states(raw, "w.pth"), args, "w.pth")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


# Found -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict", "module", "net"])
def test_plain_or_under_a_key(key):
    state = weights()
    assert same(taken(state).state, state)
    nested = {"epoch": 3, key: OrderedDict(state), "optimizer": {"state": {}}, "metric": 0.5}
    found = taken(nested)
    assert same(found.state, state)
    assert found.notes == ()


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_what_is_not_finite_is_named_and_counted(odd, dtype):
    state = weights()
    for key in ("fc.weight", "fc.bias"):
        state[key] = torch.full_like(state[key], odd, dtype=dtype)
    with pytest.raises(DamagedFile, match=rf"in 2 of {len(state)} tensors, first in fc\.weight"):
        taken({"model": state})


def test_two_levels_deep():
    assert same(taken({"model": {"state_dict": weights()}}).state, weights())


@pytest.mark.parametrize("key", ["state_dict_ema", "model_ema", "ema_state_dict"])
def test_averaged_weights_are_preferred_aloud(key):
    zero = {k: torch.zeros_like(v) for k, v in weights().items()}
    found = taken({"state_dict": zero, key: weights()})
    assert same(found.state, weights())
    assert found.notes == (f"its averaged (EMA) weights, '{key}'",)


def test_no_averaged_weights_after_all():
    found = taken({"state_dict": weights(), "state_dict_ema": None})
    assert same(found.state, weights())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "_orig_mod.module."])
def test_wrappers_are_taken_off_aloud(prefix):
    wrapped = {prefix + key: value for key, value in weights().items()}
    found = taken(wrapped)
    assert same(found.state, weights())
    assert "".join(note.split("'")[1] for note in found.notes) == prefix


def test_what_tools_leave_behind_is_left_out():
    averaged = torch.optim.swa_utils.AveragedModel(timm.create_model("test_resnet"))
    found = taken({**averaged.state_dict(), "module.conv1.total_ops": torch.ones(1)})
    assert found.state.keys() == weights().keys()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_fraction_becomes_float32_aloud(dtype):
    other = {k: v.to(dtype) if v.is_floating_point() else v for k, v in weights().items()}
    found = taken(other)
    assert {v.dtype for v in found.state.values()} == {torch.float32, torch.int64}
    assert found.notes == (f"{str(dtype)[6:]} converted to float32",)


@pytest.mark.parametrize("raw", [{}, {"epoch": 3, "lr": 0.1}, [1], torch.ones(2)])
def test_no_weights_anywhere(raw):
    with pytest.raises(DamagedFile, match=r"w\.pth: no weights found in it") as caught:
        taken(raw)
    assert caught.value.fix


# Fitted ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext"])
@pytest.mark.parametrize("classes", [5, 1000])
def test_the_weights_say_how_many_classes_they_answer(name, classes):
    args = plan(name, 2, 160, None)
    state = weights(classes, name)
    shuffled = dict(sorted(state.items()))
    fitted = fit(shuffled, args, "w.pth")
    assert fitted.num_classes == classes
    assert list(fitted.state) == list(state)
    model = build(replace(args, num_classes=classes))
    model.load_state_dict(fitted.state)


def test_weights_without_a_classifier():
    fitted = fit(timm.create_model("test_resnet", num_classes=0).state_dict(), ARGS, "w.pth")
    assert fitted.num_classes == 0


def test_missing_counters_of_batch_norm_are_no_matter():
    state = weights()
    fewer = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    assert len(fewer) < len(state)
    assert same(fit(fewer, ARGS, "w.pth").state, state)


def test_torchvisions_resnet_has_timms_keys():
    model = torchvision.models.resnet18(num_classes=7)
    fitted = fit(model.state_dict(), ModelArgs("resnet18", 2, 64), "w.pth")
    ours = build(ModelArgs("resnet18", 7, 64)).eval()
    ours.load_state_dict(fitted.state)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), model.eval()(images))


def test_what_timm_can_convert_is_converted_aloud():
    fitted = fit(weights(5, "test_vit"), plan("test_vit", 2, 64, None), "w.pth")
    assert fitted.num_classes == 5
    assert fitted.state["pos_embed"].shape[1] == (64 // 16) ** 2 + 1
    assert "timm's own rules for test_vit" in fitted.notes[0]


def misfit(state, args=ARGS):
    with pytest.raises(UsageError) as caught:
        fit(state, args, "w.pth")
    assert "name the model they were trained as" in caught.value.fix
    return caught.value.what.splitlines()


def test_the_weights_of_another_model_are_listed():
    first, missing, unexpected, *_ = misfit(weights(5, "test_efficientnet"))
    assert first == "w.pth does not fit test_resnet:"
    for line, kind in ((missing, "missing"), (unexpected, "unexpected")):
        count, found = line.strip().split(f" {kind}: ")
        shown = found.split(", ")
        assert len(shown) == 11
        assert shown[-1] == f"... and {int(count) - 10} more"
        assert "num_batches_tracked" not in line


def test_another_name_of_the_classifier_is_listed():
    state = {k.replace("fc.", "head."): v for k, v in weights().items()}
    assert misfit(state)[1:] == [
        "  2 missing: fc.weight, fc.bias",
        "  2 unexpected: head.weight, head.bias",
    ]


def test_other_shapes_are_listed():
    state = weights()
    state["bn1.weight"] = torch.ones(3)
    expected = len(weights()["bn1.weight"])
    assert misfit(state)[1:] == [
        f"  1 of another shape: bn1.weight (3 in the file, {expected} in the model)"
    ]


# Used --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_classes_in_another_order_are_the_same_answers(name):
    args = plan(name, 2, 160, None)
    fitted, order = fit(weights(4, name), args, "w.pth"), [2, 0, 3, 1]
    before, after = (build(replace(args, num_classes=4)).eval() for _ in range(2))
    before.load_state_dict(fitted.state)
    after.load_state_dict(reordered(fitted, replace(args, num_classes=4), order))
    images = torch.rand(2, 3, 160, 160)
    with torch.no_grad():
        torch.testing.assert_close(after(images), before(images)[:, order])


def test_a_start_keeps_a_classifier_that_fits():
    module = build(replace(ARGS, num_classes=5))
    assert start(module, fit(weights(), ARGS, "w.pth").state) == []
    assert same(module.state_dict(), weights())


@pytest.mark.parametrize("classes", [0, 1000])
def test_a_start_makes_another_classifier_anew(classes):
    module = build(replace(ARGS, num_classes=5))
    fresh = {k: v.clone() for k, v in module.state_dict().items() if k.startswith("fc.")}
    given = fit(weights(classes), ARGS, "w.pth").state
    assert start(module, given) == list(fresh) == list(classifier_keys(ARGS))
    state = module.state_dict()
    assert all(torch.equal(state[k], fresh[k]) for k in fresh)
    assert all(torch.equal(state[k], v) for k, v in given.items() if k not in fresh)


# Beside and around ------------------------------------------------------------------------------


def below(prefix, state):
    return {prefix + key: value for key, value in state.items()}


def raised(state):
    return {key: value + 1 for key, value in state.items()}


@pytest.mark.parametrize(
    "prefix", ["backbone.", "encoder.", "net.", "teacher.backbone.", "my_cnn.", "model.module."]
)
@pytest.mark.parametrize("beside", [{}, {"criterion.weight": torch.ones(5)}])
def test_whatever_a_module_calls_its_model(prefix, beside):
    found = taken({"state_dict": below(prefix, weights()) | beside})
    assert same(found.state, weights())
    assert f"without their '{prefix}'" in found.notes[0]
    assert ("criterion.weight" in "".join(found.notes)) == bool(beside)


def test_what_a_training_keeps_beside_its_model_is_left_out_aloud():
    """Lightning's: its module's loss, metrics and normalisation stand in one state dict."""
    beside = {
        "loss_fn.weight": torch.ones(5),
        "train_acc.tp": torch.zeros(5),
        "val_metrics.MulticlassAccuracy.tp": torch.zeros(5),
        "normalize.mean": torch.tensor([0.5, 0.4, 0.3]).reshape(1, 3, 1, 1),
        "normalize.std": torch.tensor([0.2, 0.2, 0.25]).reshape(1, 3, 1, 1),
    }
    for state in (weights() | beside, below("model.", weights()) | beside):
        found = taken({"state_dict": state, "epoch": 3})
        assert same(found.state, weights())
        assert "left out, as no part of test_resnet: loss_fn.weight, train_acc" in found.notes[-1]
        assert found.normalisation == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.25))


def test_parts_that_may_be_the_models_are_never_left_out():
    state = weights() | {"attention.weight": torch.ones(3, 3)}
    with pytest.raises(UsageError, match=r"1 unexpected: attention.weight") as caught:
        taken(state)
    assert "name the model that has these parts" in caught.value.fix


def test_two_models_in_one_file_are_not_guessed_between():
    both = below("student.", weights()) | below("teacher.", raised(weights()))
    with pytest.raises(UsageError, match=r"under 'student\.' and 'teacher\.'") as caught:
        taken(both)
    assert "removeprefix('teacher.')" in caught.value.fix
    alike = below("model.", weights()) | below("module.", weights())
    assert same(taken(alike).state, weights())
    averaged = below("model.", raised(weights())) | below("ema_model.", weights())
    assert same(taken(averaged).state, weights())


def test_an_average_of_parameters_takes_the_buffers_of_its_model():
    whole, names = weights(), dict(timm.create_model("test_resnet").named_parameters())
    plain = {k: v + 1 if k in names else v for k, v in whole.items()}
    averaged = {k: v for k, v in whole.items() if k in names}
    found = taken({"state_dict": below("model.", plain), "ema": averaged})
    assert same(found.state, whole)
    assert "'ema'" in found.notes[0]
    assert "its buffers are those of the plain weights" in "".join(found.notes)


def test_an_average_that_fits_nothing_hides_no_good_weights():
    found = taken({"state_dict": weights(), "ema": {"decay": torch.ones(1)}})
    assert same(found.state, weights())
    assert "'ema', do not fit: left out" in found.notes[0]


# timm's converters ------------------------------------------------------------------------------


def torchvisions(name):
    """Its own implementation, with something in every buffer."""
    with seeded(1, name):
        heads = {"init_weights": True} if name == "inception_v3" else {}
        return with_buffers(getattr(torchvision.models, name)(num_classes=7, **heads))


def regnet(group_width):
    """torchvision's RegNetY of 200 million operations, which it has no name for: the smallest."""
    sizes = torchvision.models.regnet.BlockParams.from_init_params(
        13, 24, 36.44, 2.49, group_width, se_ratio=0.25
    )
    with seeded(1, "regnet"):
        return with_buffers(torchvision.models.RegNet(sizes, num_classes=7))


def with_buffers(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.05)
            module.running_var.uniform_(0.8, 1.2)
    return model.eval()


def answers_alike(theirs, name, size):
    args = plan(name, 2, size, None)
    fitted = fit(theirs.state_dict(), args, "w.pth")
    ours = build(replace(args, num_classes=fitted.num_classes)).eval()
    ours.load_state_dict(fitted.state)
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-3, atol=1e-5)
    return fitted


def test_torchvisions_regnet_is_converted_by_timms_rules():
    """Which take the state dict alone, unlike most of timm's."""
    theirs = regnet(8)
    assert "timm's own rules for regnety_002" in answers_alike(theirs, "regnety_002", 32).notes[-1]
    wrapped = below("model.", theirs.state_dict())
    assert "'model.'" in fit(wrapped, plan("regnety_002", 2, 32, None), "w.pth").notes[0]


EXPANDING = "_expand_conv _bn0 _depthwise_conv _bn1 _se_reduce _se_expand _project_conv _bn2"
"""The layers of a block in efficientnet_pytorch, in timm's order; each is a layer there, too."""


def efficientnet_pytorchs(state):
    """A state dict as that package has it."""
    places, names = {}, {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head"}
    names |= {"bn2": "_bn1", "classifier": "_fc"}
    for layer in dict.fromkeys(key.rpartition(".")[0] for key in state if key[:7] == "blocks."):
        places.setdefault(".".join(layer.split(".")[:3]), []).append(layer)
    for number, layers in enumerate(places.values()):
        expands = any(layer.endswith("conv_pwl") for layer in layers)
        squeezes = any(".se." in layer for layer in layers)
        theirs = [
            name
            for name in EXPANDING.split()
            if (expands or name not in ("_expand_conv", "_bn0"))
            and (squeezes or "_se_" not in name)
        ]
        names |= {
            layer: f"_blocks.{number}.{name}" for layer, name in zip(layers, theirs, strict=True)
        }
    split = {key: key.rpartition(".") for key in state}
    return {f"{names[split[key][0]]}.{split[key][2]}": value for key, value in state.items()}


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "tf_efficientnet_b0"])
def test_efficientnet_pytorchs_keys_are_known(name):
    state = weights(5, name)
    theirs = efficientnet_pytorchs(state)
    assert {"_blocks.0._bn1.bias", "_blocks.1._expand_conv.weight", "_fc.bias"} <= theirs.keys()
    fitted = fit(theirs, plan(name, 5, 64, None), "w.pth")
    assert same(fitted.state, state)
    assert "keys of efficientnet_pytorch" in fitted.notes[-1]
    assert "'module.'" in fit(below("module.", theirs), plan(name, 5, 64, None), "w.pth").notes[0]
    with pytest.raises(UsageError) as caught:
        fit(theirs, plan(name.removeprefix("tf_"), 5, 64, None), "w.pth")
    assert caught.value.fix.endswith(f"pads as TensorFlow does: {name}=w.pth")
    assert "TensorFlow" not in "".join(misfit(theirs, ModelArgs("resnet18", 5, 64)))


def test_another_width_is_told_in_timms_keys():
    """Not as strange keys throughout: those timm's rules know."""
    with pytest.raises(UsageError, match=r"of another shape: s1\.b1"):
        fit(regnet(16).state_dict(), plan("regnety_002", 2, 32, None), "w.pth")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("theirs", "ours", "size"),
    [
        ("vgg11", "vgg11", 64),
        ("vgg11_bn", "vgg11_bn", 64),
        ("regnet_y_400mf", "regnety_004", 64),
        ("regnet_x_800mf", "regnetx_008", 64),
        ("densenet121", "densenet121", 64),
        ("inception_v3", "inception_v3", 128),
        ("resnext50_32x4d", "resnext50_32x4d", 64),
        ("wide_resnet50_2", "wide_resnet50_2", 64),
    ],
)
def test_torchvisions_files_answer_as_there(theirs, ours, size):
    answers_alike(torchvisions(theirs), ours, size)
