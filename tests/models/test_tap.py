"""A module becomes Outputs: normalised, resized, in its own precision; teachers stay frozen."""

import numpy as np
import pytest
import torch
from torch import nn

from kdcli.core.records import Batch, Outputs
from kdcli.models.build import build, seeded
from kdcli.models.model_args import ModelArgs
from kdcli.models.tap import Tap, predict
from kdcli.models.teachers import Frozen


class Tiny(nn.Module):
    """Remembers what it is fed."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        logits = self.head(self.norm(self.conv(x)).mean((2, 3)))
        self.fed, self.dtype = x, logits.dtype
        return logits


def args(size=8, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 2.0)):
    return ModelArgs("tiny", 5, size, mean=mean, std=std)


def tap(precision="fp32", **options):
    with seeded(0, "tiny"):
        return Tap(Tiny(), args(**options), "student", precision)


def batch(n=6, size=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(n, 3, size, size, generator=generator)
    rows = torch.arange(n)
    return Batch(images, rows % 5, torch.full((n, 5), 0.2), rows, torch.zeros_like(rows))


def ask(one, images):
    rows = torch.arange(len(images))
    return one(Batch(images, rows, torch.zeros(len(images), 5), rows, rows)).logits


def test_images_are_normalised_for_this_model():
    one, images = tap(), batch().images
    ask(one, images)
    for c, (mean, std) in enumerate(zip((0.5, 0.25, 0.0), (0.5, 0.25, 2.0), strict=True)):
        torch.testing.assert_close(one.module.fed[:, c], (images[:, c] - mean) / std)
    assert one.module.fed.is_contiguous(memory_format=torch.channels_last)


def test_two_models_see_the_same_images_each_in_its_own_way():
    one, other, images = tap(), tap(mean=(0.0,) * 3, std=(1.0,) * 3), batch().images
    ask(one, images)
    ask(other, images)
    torch.testing.assert_close(other.module.fed, images)
    assert not torch.equal(one.module.fed, other.module.fed)


@pytest.mark.parametrize(("size", "model"), [(8, 16), (16, 8)])
def test_images_are_resized_to_the_models_own_size(size, model):
    one, images = tap(size=model, mean=(0.0,) * 3, std=(1.0,) * 3), batch(size=size).images
    ask(one, images)
    fed = one.module.fed
    assert fed.shape == (6, 3, model, model)
    assert fed.min() >= 0
    assert fed.max() <= 1
    torch.testing.assert_close(fed.mean(), images.mean(), atol=0.05, rtol=0)


def test_a_plain_colour_stays_what_it_is_at_any_size():
    one = tap(size=20, mean=(0.0,) * 3, std=(1.0,) * 3)
    ask(one, torch.full((2, 3, 8, 8), 0.3))
    torch.testing.assert_close(one.module.fed, torch.full((2, 3, 20, 20), 0.3))


def test_outputs_say_who_answered():
    answer = tap()(batch())
    assert answer.by == "student"
    assert (answer.logits.shape, answer.logits.dtype) == ((6, 5), torch.float32)
    assert answer.logits.requires_grad


def test_the_taps_state_is_its_modules():
    one = tap()
    assert list(one.state_dict()) == [f"module.{key}" for key in one.module.state_dict()]


def test_bf16_is_inside_and_float32_outside():
    one = tap("bf16").eval()
    logits = ask(one, batch().images)
    assert one.module.dtype == torch.bfloat16
    assert logits.dtype == torch.float32
    exact = ask(tap("fp32").eval(), batch().images)
    torch.testing.assert_close(logits, exact, atol=0.05, rtol=0.05)
    assert not torch.equal(logits, exact)


def test_fp32_is_fp32_even_inside_a_foreign_autocast():
    one, images = tap().eval(), batch().images
    expected = ask(one, images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ask(one, images), expected)


# predict -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_predict_is_fp32_and_gives_mode_and_precision_back(training, precision):
    one = tap(precision).train(training)
    before = {k: v.clone() for k, v in one.state_dict().items()}
    found = predict(one, [batch(4), batch(2, seed=1)], torch.device("cpu"))
    assert one.module.dtype == torch.float32
    assert (one.training, one.module.norm.training, one.precision) == (
        training,
        training,
        precision,
    )
    assert all(torch.equal(before[k], v) for k, v in one.state_dict().items())
    assert (found.shape, found.dtype) == ((6, 5), np.float32)


def test_predict_keeps_the_order_and_no_batch_changes_another():
    one, whole = tap().train(), batch(6)
    parts = [
        Batch(
            whole.images[i : i + 2],
            *[t[i : i + 2] for t in (whole.labels, whole.targets)],
            whole.index[i : i + 2],
            whole.view[i : i + 2],
        )
        for i in (0, 2, 4)
    ]
    cpu = torch.device("cpu")
    np.testing.assert_allclose(predict(one, parts, cpu), predict(one, [whole], cpu), atol=1e-6)


def test_predict_gives_mode_and_precision_back_after_a_failure():
    one = tap("bf16").train()

    def failing():
        yield batch()
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        predict(one, failing(), torch.device("cpu"))
    assert one.training
    assert one.precision == "bf16"


# Frozen teachers ---------------------------------------------------------------------------------


def test_a_frozen_teacher_is_in_eval_mode_and_gives_no_gradient():
    teacher = Frozen(tap().train())
    assert not teacher.tap.training
    assert not any(p.requires_grad for p in teacher.tap.parameters())
    assert not teacher(batch()).logits.requires_grad


def test_a_frozen_teachers_answer_can_be_saved_for_backward():
    answer = Frozen(tap())(batch()).logits
    weight = torch.ones(5, requires_grad=True)
    (answer * weight).sum().backward()  # an inference tensor would refuse this
    torch.testing.assert_close(weight.grad, answer.sum(0))


def test_a_frozen_teacher_is_not_part_of_a_module_that_holds_it():
    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.teacher = Frozen(tap())

    holder = Holder().train()
    assert (list(holder.parameters()), holder.state_dict()) == ([], {})
    assert not holder.teacher.tap.training


def test_a_timm_model_through_a_tap():
    with seeded(0, "student"):
        one = Tap(build(ModelArgs("test_efficientnet", 5, 32)), args(32), "student")
    assert one(batch(size=32)).logits.shape == (6, 5)


def test_a_batch_that_is_too_large_is_answered_in_halves():
    """Measuring has a batch size of its own, which no recipe can lower."""

    class Narrow(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = []

        def forward(self, batch):
            if len(batch.labels) > 3:
                raise torch.OutOfMemoryError("full")
            self.seen.append(len(batch.labels))
            return Outputs("narrow", batch.images.mean((2, 3)))

    model, zeros = Narrow(), torch.zeros(10, dtype=torch.int64)
    images = torch.rand(10, 3, 4, 4)
    found = predict(model, [Batch(images, zeros, zeros, zeros, zeros)], torch.device("cpu"))
    np.testing.assert_array_equal(found, images.mean((2, 3)).numpy())
    assert sum(model.seen) == 10
