"""Work is spread over threads where it takes long, and comes in order all the same."""

import threading

import pytest

from kdcli.core.progress import Silent
from kdcli.data import threads
from kdcli.data.threads import QUICK, spread


def test_quick_work_takes_no_threads_slow_work_does_and_all_comes_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, where, clock = threading.get_ident(), {}, [0.0]
    monkeypatch.setattr(threads.time, "perf_counter", lambda: clock[0])

    def work(i: int) -> int:
        where[i] = threading.get_ident()
        clock[0] += 2 * QUICK if i >= 1000 or i == 8 else QUICK / 2
        return i

    assert spread(1600, work, Silent(), "", per_core=2) == list(range(1600))
    assert {where[i] for i in range(1000)} == {here}
    assert here not in {where[i] for i in range(1100, 1600)}
