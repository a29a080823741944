"""torch.compile: the same answers and gradients, or none of it."""

import copy
import shutil
from collections.abc import Callable
from functools import partial

import pytest
import torch

from kdcli.core.records import Batch
from kdcli.models.build import build, plan, seeded
from kdcli.models.compiled import try_compiled
from kdcli.models.route import View
from kdcli.models.tap import Tap, predict

CPU = torch.device("cpu")


def batch_of(n: int = 4, size: int = 32) -> Batch:
    images = torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(1))
    labels, zeros = torch.arange(n) % 10, torch.zeros(n, dtype=torch.int64)
    targets = torch.nn.functional.one_hot(labels, 10).float()
    return Batch(images, labels, targets, index=zeros, view=zeros)


def graphs() -> int:
    """Compiled so far, in this process."""
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


def tap_of(model: str = "test_efficientnet", view: View | None = None, size: int = 32) -> Tap:
    args = plan(model, 10, size, None)
    with seeded(0, "student"):
        tap = Tap(build(args), args, "student")
    if view:
        tap.show(view, batch_of(2, size).images)
    return tap.train()


def answers(tap: Tap, batch: Batch) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Its logits, and the gradients of all that learns."""
    torch.manual_seed(3)
    tap.zero_grad()
    logits = tap(batch).logits
    logits.square().mean().backward()
    return logits.detach(), [p.grad for p in tap.parameters() if p.grad is not None]


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced and differentiated ahead as ever, but run by torch itself: no compiler is needed."""
    traced = partial(torch.compile, backend="aot_eager", dynamic=False)
    monkeypatch.setattr(torch, "compile", lambda ask, **_: traced(ask))


MUCH = View(stages=(1, 2), embedding=True)


@pytest.mark.slow
@pytest.mark.usefixtures("quickly")
def test_a_compiled_tap_answers_and_learns_alike() -> None:
    same_as_plain(tap_of(view=MUCH), tap_of(view=MUCH), atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="no compiler")
@pytest.mark.parametrize("view", [None, MUCH])
def test_so_it_is_with_a_real_compiler(view: View | None) -> None:
    same_as_plain(tap_of(view=view), tap_of(view=view), atol=1e-4)


def same_as_plain(tap: Tap, plain: Tap, atol: float) -> None:
    batch, state = batch_of(), torch.get_rng_state()
    before, made = copy.deepcopy(tap.state_dict()), graphs()
    assert try_compiled(tap, batch, learns=True) == ""
    assert graphs() > made
    assert torch.equal(torch.get_rng_state(), state)
    assert before.keys() == tap.state_dict().keys()
    assert all(torch.equal(before[key], value) for key, value in tap.state_dict().items())
    assert all(p.grad is None for p in tap.parameters())
    for one, other in zip(answers(tap, batch), answers(plain, batch), strict=True):
        torch.testing.assert_close(one, other, atol=atol, rtol=1e-3)


def test_what_was_not_tried_goes_the_plain_way_and_compiles_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[str] = []

    def counting(graph: torch.fx.GraphModule, _: object) -> Callable[..., object]:
        ran.append("made")
        return lambda *given: ran.append("run") or graph(*given)

    traced = partial(torch.compile, backend=counting, dynamic=False)
    monkeypatch.setattr(torch, "compile", lambda ask, **_: traced(ask))
    tap, batch = tap_of(), batch_of()
    assert try_compiled(tap, batch, learns=True) == ""
    assert ran == ["made", "run"]
    average = copy.deepcopy(tap)  # as the moving average does
    few = predict(average, [batch_of(3)], CPU)
    assert few == pytest.approx(predict(tap_of(), [batch_of(3)], CPU), abs=1e-5)
    answers(average, batch)
    answers(tap, batch)
    assert ran == ["made", "run", "run", "run"]
    tap.precision = "bf16"
    answers(tap, batch)
    assert ran == ["made", "run", "run", "run"]


def test_one_that_cannot_be_compiled_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*_: object) -> None:
        raise RuntimeError("\nno C compiler found\nmore")

    made = partial(torch.compile, backend=no_compiler)
    monkeypatch.setattr(torch, "compile", lambda ask, **_: made(ask))
    tap = tap_of()
    why = try_compiled(tap, batch_of(), learns=True)
    assert "no C compiler found" in why
    assert "\n" not in why
    assert tap.route.compiled is None
    assert tap.training


def test_wrong_answers_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(ask, **_):  # type: ignore[no-untyped-def]
        return lambda *given: {"logits": 1.01 * ask(*given)["logits"]}

    monkeypatch.setattr(torch, "compile", wrong)
    tap = tap_of()
    assert "others" in try_compiled(tap, batch_of(), learns=False)
    assert tap.route.compiled is None
