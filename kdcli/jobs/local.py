"""The engine "this machine": processes of kd itself, as many at a time as were asked for and memory
has room for; a GPU each where there are several, cores divided."""

import os
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from kdcli.core.errors import ExitCode
from kdcli.core.machine import end_with_parent, free_memory_bytes, resident_bytes
from kdcli.core.openmp import usable_cores
from kdcli.core.text import size_in_words
from kdcli.jobs.engine import Outcome, Watch, arguments, not_run, open_log, outcome_of
from kdcli.jobs.node import Node
from kdcli.training.devices import gpus

LOOK_SECONDS, TELL_SECONDS = 0.1, 1.0
"""Between two looks at the processes, and two words of who runs."""
IN_USE_SECONDS = 5.0
"""After which a job is tried again whose folder another kd works in."""
LEAST_BYTES = 1_000_000_000
"""A kd takes about as much with a tiny model; the largest that was seen, where that is more."""


@dataclass
class _Running:
    node: Node
    process: "subprocess.Popen[bytes]"
    gpu: str | None
    bytes: int = 0


@dataclass
class Local:
    """So many jobs at a time; None: one for each GPU that there is, else one."""

    jobs: int | None = None
    device: str = "auto"
    _most_bytes: int = LEAST_BYTES
    _not_before: dict[str, float] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    @property
    def at_once(self) -> int:
        """How many jobs run at a time, at most."""
        return self.jobs or max(1, len(self._gpus))

    @cached_property
    def _gpus(self) -> list[str]:
        """To hand out; none where they were named, or there is no choice."""
        found = gpus() if self.device in ("auto", "cuda") else []
        return found if len(found) > 1 else []

    def run(self, nodes: Sequence[Node], watch: Watch) -> dict[str, Outcome]:
        """As `Engine.run`; a job whose folder another kd works in waits for that."""
        outcomes: dict[str, Outcome] = {}
        waiting, running, told = list(nodes), list[_Running](), 0.0
        try:
            while waiting or running:
                self._collect(running, waiting, outcomes, watch)
                self._begin(waiting, running, outcomes, watch)
                if (now := time.monotonic()) >= told + TELL_SECONDS:
                    self._measure(running)
                    watch.running([one.node for one in running])
                    told = now
                time.sleep(LOOK_SECONDS if running or waiting else 0)
        finally:
            _stop(running)
        return outcomes

    def _collect(
        self,
        running: list[_Running],
        waiting: list[Node],
        outcomes: dict[str, Outcome],
        watch: Watch,
    ) -> None:
        """Those that have ended."""
        for one in list(running):
            if (code := one.process.poll()) is None:
                continue
            running.remove(one)
            if code == ExitCode.IN_USE:
                self._waits(one.node, "another kd works in its folder", watch)
                self._not_before[one.node.name] = time.monotonic() + IN_USE_SECONDS
                waiting.insert(0, one.node)
                continue
            outcomes[one.node.name] = outcome_of(one.node, code)
            watch.ended(one.node, outcomes[one.node.name])

    def _begin(
        self,
        waiting: list[Node],
        running: list[_Running],
        outcomes: dict[str, Outcome],
        watch: Watch,
    ) -> None:
        """Those that can begin, in their order."""
        open_needs = {one.name for one in waiting} | {one.node.name for one in running}
        for node in list(waiting):
            if lost := not_run(node, outcomes):
                waiting.remove(node)
                outcomes[node.name] = lost
                watch.ended(node, lost)
                continue
            early = time.monotonic() < self._not_before.get(node.name, 0.0)
            if early or open_needs & {*node.needs} or len(running) >= self.at_once:
                continue
            if running and not self._has_room(running):
                why = f"{size_in_words(free_memory_bytes())} of memory are free"
                self._waits(node, why, watch)
                break
            waiting.remove(node)
            if node.is_done():  # by another kd, meanwhile
                outcomes[node.name] = Outcome("done")
                watch.ended(node, outcomes[node.name])
                continue
            running.append(self._start(node, running))
            watch.started(node)

    def _measure(self, running: Sequence[_Running]) -> None:
        for one in running:
            one.bytes = resident_bytes(one.process.pid)
            self._most_bytes = max(self._most_bytes, one.bytes)

    def _waits(self, node: Node, why: str, watch: Watch) -> None:
        if node.name not in self._told:
            self._told.add(node.name)
            watch.waits(node, why)

    def _has_room(self, running: Sequence[_Running]) -> bool:
        """For another, when those that run have come to the most that any has taken."""
        to_come = sum(max(0, self._most_bytes - one.bytes) for one in running)
        return free_memory_bytes() - to_come >= self._most_bytes

    def _start(self, node: Node, running: Sequence[_Running]) -> _Running:
        environment = dict(os.environ)
        if self.at_once > 1:
            environment["KD_CORES"] = str(max(1, usable_cores() // self.at_once))
        used = Counter(one.gpu for one in running)
        gpu = min(self._gpus, key=lambda name: used[name], default=None)
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        with open_log(node) as file:
            # a session of its own: Ctrl-C reaches us, and we tell them, once
            process = subprocess.Popen(
                arguments(node),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_parent if os.name == "posix" else None,
            )
        return _Running(node, process, gpu)


def _stop(running: Sequence[_Running]) -> None:
    """All at once, in good order: what an epoch has come to is kept."""
    for one in running:
        one.process.terminate()
    for one in running:
        one.process.wait()
