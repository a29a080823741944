import gc
import time

import pytest
import timm
import torch
from torch import nn

from kdcli.core import latency as module
from kdcli.core.latency import THOROUGH, Burst, Latency, block_medians, is_steady, latency, noise
from kdcli.evaluation.cost import macs, parameters

EACH = Burst(settling=0, counted=1)
"""By turns, one by one."""


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


class Clock:
    """Time passes only where something takes it."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(module, "perf_counter", lambda: self.now)

    def call(self, *milliseconds):
        """A callable that takes so long: these first, and then the last of them ever after."""
        left = list(milliseconds)

        def work():
            self.now += (left.pop(0) if len(left) > 1 else left[0]) / 1e3

        return work


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_latency_takes_turns_and_who_follows_whom_changes():
    """All are called once apart, then one round to warm up, where there is no time for more."""
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "abc"}
    found = latency(calls, seconds=0, min_runs=20, burst=EACH)
    rounds = ["".join(order[i : i + 3]) for i in range(0, len(order), 3)]
    assert {"".join(sorted(one)) for one in rounds} == {"abc"}
    assert len(set(rounds)) == 6, "every order"
    assert len(rounds) == 1 + 1 + 20
    assert [one.runs for one in found.values()] == [20] * 3


def test_a_burst_begins_with_runs_that_do_not_count(clock):
    """Cold, a round to warm up, a round that counts."""
    each = [99, *([50] * 2 + [7] * 3) * 2]
    calls = {"a": clock.call(*each), "b": clock.call(*each)}
    found = latency(calls, seconds=0, min_runs=3, burst=Burst(settling=2, counted=3))["a"]
    assert (found.p50, found.p99, found.runs) == (pytest.approx(7), pytest.approx(7), 3)


def test_the_first_call_is_none_of_the_others(clock):
    found = latency({"a": clock.call(90, 2), "b": clock.call(70, 50, 3)}, seconds=1, burst=EACH)
    assert (found["a"].cold, found["b"].cold) == (pytest.approx(90), pytest.approx(70))
    assert found["a"].p99 == pytest.approx(2)
    assert found["b"].p99 == pytest.approx(3), "and what warms up is none of them either"


def test_percentiles(clock):
    hundred = [1, *([1] * 20), *range(1, 102)]  # cold, steady at once, then counted
    found = latency({"a": clock.call(*hundred)}, seconds=9, max_runs=101, burst=EACH)["a"]
    assert (found.p50, found.p90, found.p99) == pytest.approx((51, 91, 100))


def test_warming_up_ends_when_steady(clock):
    slowing = [50, *([9] * 15), *([5] * 200)]
    found = latency({"a": clock.call(*slowing)}, seconds=10, max_runs=7, burst=EACH)["a"]
    assert found.blocks == pytest.approx((5,) * 5)


def test_warming_up_ends_though_it_never_is(clock):
    growing = clock.call(*(1.1**i for i in range(200)))
    assert latency({"a": growing}, seconds=2, max_runs=7, burst=EACH)["a"].runs == 7
    assert clock.now < 3.5


@pytest.mark.parametrize(
    ("times", "steady"),
    [
        ([1.0] * 19, False),
        ([1.0] * 20, True),
        ([9.0] * 30 + [1.0] * 20, True),
        ([1.0] * 10 + [1.019] * 10, True),
        ([1.0] * 10 + [1.021] * 10, False),
        ([1.0] * 10 + [0.979] * 10, False),
        ([1.0] * 10 + [1.0] * 6 + [99.0] * 4, True),
    ],
)
def test_steady_is_a_median_that_stays(times, steady):
    assert is_steady(times) is steady


def test_quick_is_two_seconds_each_and_a_hundred_rounds_where_time_allows(clock):
    fast, slow, slower = ({"a": clock.call(ms)} for ms in (8, 50, 400))
    assert latency(fast)["a"].runs == 250
    assert latency(slow)["a"].runs == 100, "5 s"
    assert latency(slower)["a"].runs == 30, "6 s were over, 12 were needed"
    assert latency({"a": clock.call(0.01)})["a"].runs == 500


@pytest.mark.parametrize(("milliseconds", "runs"), [(10, 6000), (100, 1024), (2000, 1024)])
def test_thorough_is_1024_samples_and_60_seconds(clock, milliseconds, runs):
    found = latency({"a": clock.call(milliseconds)}, **THOROUGH, burst=EACH)["a"]
    assert found.runs == pytest.approx(runs, abs=1)


def timed(*blocks):
    return Latency(p50=1, p90=1, p99=1, cold=1, runs=len(blocks), blocks=blocks)


def test_noise_is_the_largest_ratio_of_blocks_whichever_way_round():
    one, other = timed(1.0, 1.0, 1.0, 1.0, 1.0), timed(1.01, 1.0, 0.8, 1.0, 1.1)
    assert noise(one, other) == noise(other, one) == pytest.approx(0.25)
    assert noise(one, one) == 0


def test_blocks_are_consecutive_fifths():
    assert block_medians([1, 1, 9, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]) == (1, 2, 3, 4, 5)
    assert block_medians([1, 2, 3]) == (1, 2, 3)


def test_latency_ends_at_max_runs():
    assert latency({"a": int}, seconds=0.1, max_runs=7, burst=EACH)["a"].runs == 7


def test_latency_of_nothing():
    assert latency({}) == {}


def test_latency_is_in_milliseconds():
    found = latency({"sleep": lambda: time.sleep(0.004)}, seconds=0, min_runs=5)["sleep"]
    assert 4 <= found.p50 <= found.p90 <= found.p99 < 400


def test_garbage_collection_rests_and_comes_back():
    seen = []
    latency({"a": lambda: seen.append(gc.isenabled())}, seconds=0, min_runs=2, burst=EACH)
    assert seen == [False] * 4
    assert gc.isenabled()


def test_garbage_collection_comes_back_after_a_failure():
    with pytest.raises(ZeroDivisionError):
        latency({"a": lambda: 1 / 0})
    assert gc.isenabled()
