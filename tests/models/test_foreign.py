"""Somebody else's weights: found whatever they are wrapped in, fitted key by key."""

from collections import OrderedDict
from dataclasses import replace

import pytest
import timm
import torch
import torchvision
from torch import nn

from kdcli.core.errors import DamagedFile, UsageError
from kdcli.models import foreign
from kdcli.models.build import build, plan, seeded
from kdcli.models.foreign import classifier_keys, reordered, start
from kdcli.models.model_args import ModelArgs
from kdcli.models.state_dicts import Found, find_states

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
    return foreign.fit((Found(state),), args, where)


def taken(raw, args=ARGS):
    """What is read of somebody's file for this model."""
    return foreign.fit(find_states(raw, "w.pth"), args, "w.pth")


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
