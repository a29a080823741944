"""The first process and those that follow it: who trains what, who has died, and how it ended.

The first runs the command as if it were alone, and says of each training that it is to be shared;
the others wait to be told. They speak through torch's store, each by a connection of its own, so
that a process that hangs in an exchange still hears that another one has died.
"""

import json
import os
import pickle
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from kdcli.core.errors import ExitCode, KdError, OutOfMemory
from kdcli.core.stopping import asked
from kdcli.core.world import LOST, World
from kdcli.training.processes.exchange import join

LOOKS = 1.0
"""Seconds between two looks at how the others are."""
SILENT = 45.0
"""Seconds after which a process that gives no sign of life has died."""
AWAY = 10.0
"""Seconds that a process has to come out of an exchange that another one has left."""


class Company:
    """What one process knows of the others."""

    def __init__(self, world: World) -> None:
        self.world = world
        join()
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        # another attempt of a launcher that starts again finds the old one's keys in its store
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._store, self._ours = (
            PrefixStore(f"kd/{attempt}", TCPStore(host, port, is_master=False)) for _ in range(2)
        )
        self._told = 0
        self.lost: KdError | None = None
        """Why another process has ended, once it has."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def tell(self, task: Any) -> None:
        """Of the first: all others take up this task."""
        self._store.set(f"task/{self._told}", pickle.dumps(task))  # type: ignore[arg-type]
        self._told += 1

    def tasks(self) -> Iterator[Any]:
        """Of the others: what they are told, until the first has ended."""
        while True:
            key = f"task/{self._told}"
            while not self._store.check([key]):
                if self._store.check(["ended"]):
                    return
                time.sleep(LOOKS / 20)
            self._told += 1
            yield pickle.loads(self._store.get(key))

    def leave(self, code: int, error: KdError | None = None) -> None:
        """The end of this process; of the first, it is that of all others."""
        with suppress(RuntimeError):  # whoever keeps the store may be gone
            if self.world.is_first:
                self._store.set("ended", str(code))
                self._see_them_off()
            elif error:
                told = {"rank": self.world.rank, "what": error.what, "fix": error.fix, "code": code}
                self._store.compare_set("failed", "", json.dumps(told))
            self._store.set(f"left/{self.world.rank}", "")
        self._over.set()
        self._thread.join()

    def _see_them_off(self) -> None:
        """The first may keep the store that the others still look into."""
        until = time.monotonic() + AWAY
        keys = [f"left/{rank}" for rank in range(1, self.world.size)]
        while not self._store.check(keys) and time.monotonic() < until:
            time.sleep(LOOKS / 20)

    def ended(self) -> int:
        """Of the others: the first's exit code."""
        return int(self._store.get("ended"))

    def pass_on(self, number: int) -> None:
        """Of the others: a signal that came here is meant for all."""
        with suppress(RuntimeError):
            self._ours.compare_set("signal", "", str(number))

    def _watch(self) -> None:
        """In a thread of its own."""
        heard: dict[int, tuple[int, float]] = {}
        passed = False
        while not self._over.wait(LOOKS):
            try:
                self._ours.add(f"alive/{self.world.rank}", 1)
                if self._ours.check(["failed"]):
                    told = json.loads(self._ours.get("failed"))
                    self._end(told["rank"], told["what"], told["fix"], told["code"])
                if self._ours.check(["ended"]) and not self.world.is_first:
                    self._end(0, "", "", int(self._ours.get("ended")))
                if self.world.is_first and not passed and self._ours.check(["signal"]):
                    passed = True
                    if not asked():  # a launcher tells the first as well
                        os.kill(os.getpid(), int(self._ours.get("signal")))
                self._look(heard)
            except (RuntimeError, ValueError):
                if not self._over.is_set():
                    self._end(0, "the process that led the others has gone", "", 1)

    def _look(self, heard: dict[int, tuple[int, float]]) -> None:
        """Whether everyone's heart beats."""
        now = time.monotonic()
        for rank in range(self.world.size):
            if rank == self.world.rank or not self._ours.check([f"alive/{rank}"]):
                continue
            beat = self._ours.add(f"alive/{rank}", 0)
            if heard.get(rank, (-1, now))[0] != beat:
                heard[rank] = beat, now
            elif now - heard[rank][1] > SILENT:
                what = f"has given no sign of life for {SILENT:.0f} seconds"
                self._end(rank, what, "", int(ExitCode.DEFECT))

    def _end(self, rank: int, what: str, fix: str, code: int) -> None:
        """This process, too; the first says why, when it comes out of what it is in, or now."""
        self.lost = _lost(rank, self.world.size, what, fix, code)
        if self.world.is_first:
            if self._over.wait(AWAY):
                return
            print(f"error: {self.lost.what}", file=sys.stderr, flush=True)
        with suppress(RuntimeError):
            self._ours.set(f"left/{self.world.rank}", "")
        os._exit(code)


def _lost(rank: int, size: int, what: str, fix: str, code: int) -> KdError:
    error = KdError(f"process {rank + 1} of {size}: {what}", fix)
    error.code = ExitCode(code) if code in list(ExitCode) else ExitCode.DEFECT
    return error


_company: Company | None = None


def company() -> Company | None:
    """That of this process; None: it is alone."""
    return _company


def join_others(world: World) -> Company:
    """From now on `company()` is there."""
    global _company
    _company = Company(world)
    return _company


OF_EXCHANGES = ("gloo", "nccl", "connection", "distbackenderror", "socket", "store")
"""What torch says of an exchange that fails, in its own words."""


def left_by(error: BaseException) -> KdError | None:
    """Why an exchange has failed, where that is what `error` is about: another process has ended,
    and may have said why."""
    if _company is None or not isinstance(error, RuntimeError):
        return None
    if not any(word in repr(error).lower() for word in OF_EXCHANGES):
        return None
    until = time.monotonic() + 3 * LOOKS
    while _company.lost is None and time.monotonic() < until:
        time.sleep(LOOKS / 10)
    _company.lost = _company.lost or OutOfMemory(
        "another process has ended without a word: killed", LOST
    )
    return _company.lost
