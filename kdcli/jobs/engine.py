"""What an engine is: it is handed jobs, of which some need others, and says what became of each.

A job is one ordinary command line of kd, so that any scheduler can carry it out; whether it is
finished, the disk says.
"""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol

from kdcli.core.errors import ExitCode, KdError
from kdcli.core.files import disk_errors
from kdcli.core.links import open_to_append
from kdcli.jobs.node import Node
from kdcli.runs.find import runs_root

ERROR = "error: "
"""Begins what a command says of its failure (`cli/console.py`)."""

ATTEMPT = "=== "
"""Begins each attempt in a log."""

State = Literal["done", "failed", "not run", "submitted"]
"""`not run`: one that it needs has failed. `submitted`: nobody has waited for it."""


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    state: State
    code: int = 0
    """Its exit code; 0 where it has none of its own."""
    reason: str = ""
    log: Path | None = None
    """All that it said."""


class Watch(Protocol):
    """Whoever wants to know meanwhile."""

    def started(self, node: Node) -> None:
        """It runs now."""

    def waits(self, node: Node, why: str) -> None:
        """It could run, but for this; told once."""

    def ended(self, node: Node, outcome: Outcome) -> None:
        """It is over, or will never begin."""

    def running(self, nodes: Sequence[Node]) -> None:
        """These run; called about once a second."""


class Engine(Protocol):
    """A way to carry out jobs."""

    def run(self, nodes: Sequence[Node], watch: Watch) -> dict[str, Outcome]:
        """Carry them out, by name what became of each; none is finished, and each stands behind
        those that it needs. What one needs and is not among them is finished.

        A failure leaves out those that need it, no others. Ctrl-C and SIGTERM (a KeyboardInterrupt)
        stop what has begun in good order, wait for it, and travel on.
        """


def arguments(node: Node) -> list[str]:
    """Its command line, by this very Python."""
    return [sys.executable, "-m", "kdcli", *shlex.split(node.command)[1:]]


def given() -> dict[str, str]:
    """What the environment says to kd: KD_RUNS, KD_CACHE, ..."""
    return {name: text for name, text in os.environ.items() if name.startswith("KD_")}


def log_of(node: Node) -> Path:
    """Where what it says is kept: runs/sweeps/NAME.log."""
    return runs_root() / "sweeps" / f"{node.name}.log"


@contextmanager
def open_log(node: Node) -> Iterator[IO[bytes]]:
    """The log to write to, behind what earlier attempts said.

    Raises:
        DiskError: it cannot be written.
    """
    log = log_of(node)
    with disk_errors(log):
        log.parent.mkdir(parents=True, exist_ok=True)
    with open_to_append(log) as file:
        file.write(f"{ATTEMPT}{node.command}\n".encode())
        file.flush()
        yield file


def outcome_of(node: Node, code: int) -> Outcome:
    """Of a job that has ended with this exit code (negative: by a signal), and has a log."""
    log = log_of(node)
    try:
        if code == 0 and node.is_done():
            return Outcome("done", log=log)
    except KdError as error:  # what it left cannot be read
        return Outcome("failed", int(error.code), str(error), log)
    return Outcome("failed", code or int(ExitCode.DEFECT), _reason(log, code), log)


def not_run(node: Node, outcomes: Mapping[str, Outcome]) -> Outcome | None:
    """What a job comes to that needs one that failed; None: nothing of what it needs has."""
    for name in node.needs:
        if (found := outcomes.get(name)) and found.state in ("failed", "not run"):
            return Outcome("not run", found.code, found.reason, found.log)
    return None


def _reason(log: Path, code: int) -> str:
    """The error of a log's last attempt, with what kd says behind it."""
    text = log.read_text("utf-8", "replace").rpartition(ATTEMPT)[2] if log.is_file() else ""
    _, found, told = f"\n{text}".rpartition(f"\n{ERROR}")
    if found and code > 0:
        return "\n".join(line.strip() for line in told.strip().splitlines())
    if code < 0:
        return f"ended by signal {-code}; memory may be full"
    return (
        f"ended with code {code}, and its result is not there; where it ran 'auto' may have meant "
        "another precision, which goes by the processor (student.precision, teacher.precision)"
    )
