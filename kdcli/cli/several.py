"""kd as one of several processes, and the start of several."""

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

from kdcli.cli import signals
from kdcli.cli.console import Console
from kdcli.core.errors import KdError, UsageError
from kdcli.core.world import World, launched_as

MOST = 64
"""Processes that kd starts itself."""


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
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "kdcli", *arguments],
            env=os.environ | several | {"RANK": str(i), "LOCAL_RANK": str(i)},
            process_group=0,  # a terminal's Ctrl-C comes here alone, and is passed on once
        )
        for i in range(processes)
    ]
    signals.pass_on(started[0].send_signal)
    code = started[0].wait()
    for i, other in enumerate(started[1:], 2):
        other.wait()
        if other.returncode == -signal.SIGKILL:
            print(f"process {i} of {processes} was killed", file=sys.stderr)
    return code if code >= 0 else 128 - code


def in_several(console: Console, processes: int | None, device: str) -> None:
    """Return where this command is alone, or one of several; else start them, and end as the first
    does.

    Raises:
        SystemExit: with its code; what there was to say, it has said.
    """
    count = processes or len(device.split(","))
    if count != 1 and launched_as().is_alone:
        raise SystemExit(start(count, shlex.split(console.command)[1:]))
