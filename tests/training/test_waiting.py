"""What a training says of the time in which its images were not there yet."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from small_stores import store, training

from kdcli.core.records import Batch
from kdcli.training import waiting as module
from kdcli.training.waiting import Waiting


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(at=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now.at))
    return now


def epoch(clock: SimpleNamespace, making: float, learning: float) -> Waiting:
    """Five batches of four."""

    def slow() -> Iterator[Batch]:
        for batch in training(store()):
            clock.at += making
            yield batch

    waiting = Waiting()
    for _ in waiting.over(slow()):
        clock.at += learning
    return waiting


def test_it_is_the_time_until_a_batch_is_there(clock: SimpleNamespace) -> None:
    waiting = epoch(clock, making=0.5, learning=1.5)
    line = waiting.close()
    assert line == {"seconds": 10, "waited": 2.5}
    assert waiting.words(line | {"epoch": 1}, last=3) == ""  # the first decodes for the others
    words = waiting.words(line | {"epoch": 2}, last=3)
    assert words.startswith("25% of epoch 2 (10 s) was waiting for images (2 a second came)")
    assert waiting.words(line | {"epoch": 1}, last=1)


@pytest.mark.parametrize(("making", "learning"), [(1, 9), (0.2, 0.2)])
def test_little_waiting_and_short_epochs_are_not_told(
    clock: SimpleNamespace, making: float, learning: float
) -> None:
    waiting = epoch(clock, making, learning)
    assert waiting.words(waiting.close() | {"epoch": 2}, last=2) == ""


def test_the_next_epoch_begins_at_nothing(clock: SimpleNamespace) -> None:
    waiting = epoch(clock, 1, 1)
    waiting.start()
    assert waiting.close() == {"seconds": 0, "waited": 0}
