"""kd as one of several processes, and the start of several."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from kdcli.cli import signals
from kdcli.cli.console import Console
from kdcli.core.errors import KdError, OutOfMemory, UsageError
from kdcli.core.machine import end_with_parent
from kdcli.core.world import LOST, World, launched_as

MOST = 64
"""Processes that kd starts itself."""
PATIENCE, LAST_SECONDS = 120.0, 5.0
"""In which all end when one has, and when the first has."""


def among_others(world: World, run: Callable[[], int], words: Callable[..., KdError]) -> int:
    """As one of several: the first runs the command, the others take part in what it trains, and
    end as it does. `words` makes an error of any exception."""
    # that something found no unused parameters: torch looks for them as it was told to
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from kdcli.training.processes.company import join_others
    from kdcli.training.share import follow

    others = join_others(world)
    if world.is_first:
        try:
            code = run()
        except BaseException as error:
            others.leave(0 if isinstance(error, SystemExit) else int(words(error).code))
            raise
    else:
        signals.pass_on(others.pass_on)
        try:
            follow(others)
            code = others.ended()
        except BaseException as error:  # the first one says it
            known = words(error)
            others.leave(int(known.code), known)
            return int(known.code)
    others.leave(code)
    return code


def start(processes: int, arguments: list[str]) -> int:
    """`python -m kdcli` with these arguments, so many times on this machine; the exit code of the
    first. A signal goes to that one, which tells the others.

    Raises:
        UsageError: too few or too many.
    """
    if not 1 <= processes <= MOST:
        raise UsageError(
            f"--processes {processes}: from 1 to {MOST}", "one for each GPU, or for a few cores"
        )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    several = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    several["LOCAL_WORLD_SIZE"] = str(processes)
    started: list[subprocess.Popen[bytes]] = []
    asked: list[int] = []

    def pass_on(number: int) -> None:
        for one in started[:1]:
            one.send_signal(signal.SIGKILL if asked else number)
        asked.append(number)

    signals.pass_on(pass_on)
    for rank in range(processes):
        process = subprocess.Popen(
            [sys.executable, "-m", "kdcli", *arguments],
            env=os.environ | several | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            process_group=0,  # a terminal's Ctrl-C comes here alone, and is passed on once
            preexec_fn=end_with_parent if os.name == "posix" else None,
        )
        started.append(process)
    _see_out(started)
    code, killed = started[0].returncode, [one.returncode == -signal.SIGKILL for one in started]
    if code < 0 and asked:  # before it could say anything
        raise signals.KINDS[asked[0]]
    if code < 0:
        raise OutOfMemory(f"the first of {processes} processes was ended by signal {-code}", LOST)
    if code and not asked and True in killed:
        print(f"process {killed.index(True) + 1} of {processes} was killed", file=sys.stderr)
    return code


def _see_out(started: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Return when all have ended. They end each other (`processes/company.py`), but for who hangs
    or has not met the others yet."""
    since: dict[float, float] = {}
    while running := [one for one in started if one.poll() is None]:
        now = time.monotonic()
        if len(running) < len(started):
            since.setdefault(PATIENCE, now)
        if started[0].poll() is not None:
            since.setdefault(LAST_SECONDS, now)
        if any(now - at > limit for limit, at in since.items()):
            for one in running:
                one.kill()
        time.sleep(0.05)


def in_several(console: Console, processes: int | None, device: str) -> None:
    """Return where this command is alone, or one of several; else start them, and end as the first
    does.

    Raises:
        SystemExit: with its code; what there was to say, it has said.
    """
    count = len(device.split(",")) if processes is None else processes
    if count != 1 and launched_as().is_alone:
        raise SystemExit(start(count, shlex.split(console.command)[1:]))
