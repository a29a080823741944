"""Worker processes under fork and spawn, counted, lost and hanging."""

import errno
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import small_stores
import torch
from numpy.typing import NDArray
from small_stores import same, store, training
from torch.utils.data import get_worker_info

from kdcli.core.errors import DataError, UsageError
from kdcli.data import processes
from kdcli.data.source import Split
from kdcli.data.store import OnDemand
from kdcli.data.workers import lost_worker, worker_count

EVERYTHING = {
    "augment": "crop_flip",
    "balance": "sampler",
    "mixup": 0.8,
    "cutmix": 1.0,
    "randaugment": "rand-m9-n2-mstd0.5",
    "image_size": 10,
}


@pytest.fixture
def spawning() -> Iterator[None]:
    """As on Windows and macOS."""
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method("spawn", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


@pytest.mark.slow
def test_spawned_workers_change_no_bit(spawning: None) -> None:
    of = store("on demand")
    assert same(training(of, **EVERYTHING), training(of, **EVERYTHING, workers=1))


def test_two_workers_change_no_bit_of_everything_at_once() -> None:
    of = store("on demand")
    assert same(training(of, **EVERYTHING), training(of, **EVERYTHING, workers=2))


def test_the_environment_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KD_WORKERS", raising=False)
    assert worker_count(3) == 3
    monkeypatch.setenv("KD_WORKERS", "0")
    assert worker_count(3) == 0
    for wrong in ("many", "-1", "1.5"):
        monkeypatch.setenv("KD_WORKERS", wrong)
        with pytest.raises(UsageError, match=f"KD_WORKERS={wrong}"):
            worker_count(3)


def test_batches_obey_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    def there(i: int) -> NDArray[np.uint8]:
        assert get_worker_info() is None
        return np.zeros((10, 10, 3), np.uint8)

    of = OnDemand(Split(np.arange(4) % 3, tuple("abcd"), there), 10)
    monkeypatch.setenv("KD_WORKERS", "0")
    assert len(training(of, workers=None)) == 1


@dataclass(frozen=True)
class Trouble:
    """A reader that kills its process, or keeps it waiting; never this one."""

    kind: str

    def __call__(self, i: int) -> NDArray[np.uint8]:
        assert get_worker_info() is not None
        if self.kind == "waits":
            time.sleep(1.5)
        elif self.kind == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            os._exit(3)
        return np.zeros((10, 10, 3), np.uint8)


def troubled(kind: str) -> OnDemand:
    return OnDemand(Split(np.array([0, 1]), ("a", "b"), Trouble(kind)), 10)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows knows no signals")
def test_a_killed_worker_is_told_with_the_way_out() -> None:
    with pytest.raises(
        DataError, match=r"was ended \(signal: Killed\); memory may be full"
    ) as caught:
        training(troubled("killed"), workers=1)
    assert "data.image_size" in caught.value.fix
    assert "KD_WORKERS=0" in caught.value.fix


def test_a_worker_that_ends_is_told() -> None:
    with pytest.raises(DataError, match="has ended by itself"):
        training(troubled("ends"), workers=1)


def test_a_hanging_worker_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LONGEST_WAIT", 1)
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.1)
    with pytest.raises(DataError, match="reading the images hangs"):
        training(troubled("waits"), workers=1)
    gc.collect()  # its process is waited for here, and not in another test


def test_batches_take_no_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container has 64 MB of it, and torch's words come after ten minutes of silence."""

    def full(*arguments: object) -> None:
        raise RuntimeError("unable to allocate shared memory")

    monkeypatch.setattr(torch.UntypedStorage, "_share_fd_cpu_", full)
    monkeypatch.setattr(torch.UntypedStorage, "_share_filename_cpu_", full)
    monkeypatch.setattr(processes, "LONGEST_WAIT", 20)
    of = store("on demand")
    assert same(training(of, **EVERYTHING), training(of, **EVERYTHING, workers=2))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.ENOSYS])
def test_processes_that_cannot_be_started_are_told(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(multiprocessing, "SimpleQueue", refuse)
    with pytest.raises(DataError, match="cannot work here") as caught:
        training(store("on demand"), workers=1)
    assert "KD_WORKERS=0" in caught.value.fix


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("DataLoader worker")])
def test_other_errors_are_not_about_workers(error: Exception) -> None:
    assert lost_worker(error) is None


@pytest.mark.parametrize(
    ("settings", "threads"),
    [({"augment": "crop_flip"}, 1), ({"randaugment": "rand-m5-n1"}, 1), ({"augment": "shift"}, 2)],
)
def test_images_worked_on_one_by_one_take_one_thread_which_is_put_back(
    settings: dict[str, str], threads: int
) -> None:
    @dataclass(frozen=True)
    class Counting:
        def __call__(self, i: int) -> NDArray[np.uint8]:
            counted.append(torch.get_num_threads())
            return np.zeros((10, 10, 3), np.uint8)

    counted: list[int] = []
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        training(OnDemand(Split(np.arange(4) % 3, tuple("abcd"), Counting()), 10), **settings)
        assert set(counted) == {threads}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_no_process_stays_when_kd_is_killed(tmp_path: Path) -> None:
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from small_stores import store
from kdcli.data.loader import Batching, training_batches
how = Batching(num_classes=3, batch_size=4, epochs=100_000, augment="shift")
for batch in training_batches(store(), how, 0, 2):
    print("there", flush=True)
"""
    helpers = Path(small_stores.__file__).parent
    with subprocess.Popen(
        [sys.executable, "-c", code, helpers], stdout=subprocess.PIPE, start_new_session=True
    ) as kd:
        assert kd.stdout is not None
        kd.stdout.readline()
        kd.kill()
    until = time.monotonic() + 30
    while alive := [p for p in Path("/proc").glob("[0-9]*/stat") if _session(p) == kd.pid]:
        assert time.monotonic() < until, alive
        time.sleep(0.5)


def _session(stat: Path) -> int:
    with suppress(OSError):
        _, _, rest = stat.read_text().rpartition(")")
        return int(rest.split()[3])
    return 0
