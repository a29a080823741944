import gc
import time

import pytest
import timm
import torch
from torch import nn

from kdcli.cost import latency, machine, macs, parameters


def on_meta(name, **options):
    with torch.device("meta"):
        return timm.create_model(name, **options)


def test_parameters_count_shared_weights_once():
    layer = nn.Linear(4, 3)
    assert parameters(nn.Sequential(layer, nn.BatchNorm1d(3))) == 4 * 3 + 3 + 2 * 3
    assert parameters(nn.ModuleList([layer, layer])) == 15


@pytest.mark.parametrize(("name", "giga"), [("resnet101", 7.80), ("mobilenetv3_small_100", 0.0565)])
def test_macs_at_224(name, giga):
    assert macs(on_meta(name), (224, 224)) == pytest.approx(giga * 1e9, rel=0.01)


def test_macs_by_hand():
    with torch.device("meta"):
        module = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 48, 5))
    assert macs(module, (6, 8), channels=1) == 6 * 8 * 8 * 9 + 8 * 48 * 5


def test_macs_count_attention():
    tokens, width, depth = 5, 64, 6  # 4 patches of 16x16 and a class token
    model = on_meta("test_vit", img_size=32, num_classes=0)
    linear = 4 * width * 3 * 16 * 16 + depth * tokens * width * width * (3 + 1 + 2 * 3)
    assert macs(model, (32, 32)) == linear + depth * 2 * tokens * tokens * width


def test_macs_where_parameters_are_passed_on_as_inputs():
    """torch's counter wants gradients of such, and finds none; cait hands its class token on."""

    class HandsOn(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.empty(1, 4, device="meta"))
            self.layer = nn.Linear(4, 2, bias=False, device="meta")

        def forward(self, x):
            return self.layer(self.token.expand(3, -1))

    assert macs(HandsOn(), (4, 4)) == 3 * 4 * 2


def test_macs_of_a_path_that_depends_on_values():
    class Gate(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises((NotImplementedError, RuntimeError)):
        macs(Gate(), (4, 4))


def test_latency_takes_turns_and_another_one_starts_each_round():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "abc"}
    found = latency(calls, seconds=0, min_runs=4, warmup=1)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab" + "abc"
    assert [one.runs for one in found.values()] == [4, 4, 4]


def test_latency_ends_at_max_runs():
    assert latency({"a": int}, seconds=60, max_runs=7)["a"].runs == 7


def test_latency_of_nothing():
    assert latency({}) == {}


def test_latency_is_in_milliseconds():
    found = latency({"sleep": lambda: time.sleep(0.004)}, seconds=0, min_runs=5, warmup=0)["sleep"]
    assert 4 <= found.p50 <= found.p90 < 400


def test_garbage_collection_rests_and_comes_back():
    seen = []
    latency({"a": lambda: seen.append(gc.isenabled())}, seconds=0, min_runs=2, warmup=0)
    assert seen == [False, False]
    assert gc.isenabled()


def test_garbage_collection_comes_back_after_a_failure():
    with pytest.raises(ZeroDivisionError):
        latency({"a": lambda: 1 / 0}, warmup=0)
    assert gc.isenabled()


def test_machine_is_one_line():
    assert "\n" not in machine()
    assert "cores" in machine()
