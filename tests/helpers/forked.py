"""kd in a process of its own that is forked behind the imports, and may die at any touch of a disk.

A touch is what changes a disk or asks for that: a file opened to be written, a flush, a rename, a
link, a removal, a folder made or removed. Python itself tells of them (audit events, PEP 578), so
that none is forgotten; of `run.log`, which nothing reads, none counts.
"""

import contextlib
import importlib
import json
import multiprocessing
import os
import pkgutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import pytest
from house import Answer
from thrift import hurry

import kdcli
from kdcli.core.host_lock import LOCKS

CONTEXT = multiprocessing.get_context("fork")
KINDS = {signal.SIGINT, signal.SIGTERM}
TOUCHES = {"os.rename": 1, "os.link": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0}
"""Events, and which of their arguments says where."""


@dataclass(frozen=True)
class Death:
    """SIGKILL in front of the touch of this number, from 1 on; 0: of none."""

    at: int = 0
    torn: bool = False
    """What was written last is there by half: before a flush nobody promises more."""


def begin(
    folder: Path, line: Sequence[str | Path], death: Death | None = None, memory: Path | None = None
) -> ForkProcess:
    """`kd LINE` in a process of its own, KD_RUNS and KD_CACHE in `folder`.

    What it says is in `said(folder)`, its touches in `touched(folder)`. `memory`: hurried as other
    tests are.
    """
    folder.mkdir(exist_ok=True)
    import_all()
    words = [str(word) for word in line]
    child = CONTEXT.Process(target=_live, args=(str(folder), words, death, memory))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, KINDS)  # in the child until kd listens
    child.start()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return child


@cache
def import_all() -> None:
    """All that kd may import."""
    for found in pkgutil.walk_packages(kdcli.__path__, "kdcli."):
        if not found.name.startswith(("kdcli.__main__", "kdcli.deploy.device.")):
            importlib.import_module(found.name)
    for name in ("onnxruntime", "sklearn.datasets"):
        importlib.import_module(name)


def run(folder: Path, line: Sequence[str | Path], **how: Any) -> Answer:
    """The same, to its end."""
    child = begin(folder, line, **how)
    child.join(600)
    assert child.exitcode is not None, "it hangs"
    return said(folder, child)


def said(folder: Path, child: ForkProcess) -> Answer:
    """What a child that has ended left."""
    out, err = ((folder / name).read_text("utf-8", "replace") for name in ("out", "err"))
    return Answer(child.exitcode or 0, out, err)


def touched(folder: Path) -> list[str]:
    """The touches of the last child there, by kind and name."""
    return (folder / "touches").read_text().splitlines()


def runs_of(folder: Path) -> Path:
    """KD_RUNS of the children there."""
    return folder / "runs"


def _live(folder: str, line: list[str], death: Death | None, memory: Path | None) -> None:
    here = Path(folder)
    os.environ |= {"KD_RUNS": str(here / "runs"), "KD_CACHE": str(here / "cache"), "COLUMNS": "200"}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(here / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    from kdcli.__main__ import main
    from kdcli.cli import entry
    from kdcli.training import resume

    resume.SELDOM = 0  # a state after each epoch
    if memory:
        hurry(pytest.MonkeyPatch(), memory)
    if death:
        _die(here, death)
    sys.argv, begun = ["kd", *line], entry._called

    def ready(*how: Any) -> int:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, KINDS)
        return begun(*how)

    entry._called = ready
    os._exit(main())


def _die(folder: Path, death: Death) -> None:
    """From now on touches are counted."""
    places = tuple(str(folder / name) + os.sep for name in ("runs", "cache"))
    notes = os.open(folder / "touches", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    count, last = 0, ""

    def touch(kind: str, path: object) -> None:
        nonlocal count, last
        where = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if not where.startswith(places) or where.endswith("run.log"):
            return
        count += 1
        if count == death.at:
            if death.torn and os.path.isfile(last):  # noqa: PTH113
                os.truncate(last, os.path.getsize(last) // 2)  # noqa: PTH202
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)
        last = where if kind == "open" else last
        os.write(notes, f"{kind} {os.path.relpath(where, folder)}\n".encode())

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and _makes(*arguments):
            touch("open", arguments[0])
        elif event == "os.mkdir" and os.path.isdir(arguments[0]):  # noqa: PTH112
            return
        elif event in TOUCHES:
            touch(event, arguments[TOUCHES[event]])

    fsync = os.fsync

    def flush(place: int) -> None:
        with contextlib.suppress(OSError):
            touch("fsync", Path(f"/proc/self/fd/{place}").readlink())
        fsync(place)

    os.fsync = flush
    sys.addaudithook(heard)


def _makes(path: object, mode: str | None, flags: int) -> bool:
    """Whether an `open` makes a file, or lets it grow; one that is opened again was made before."""
    if mode is not None:
        return any(sign in mode for sign in "wxa")
    return bool(flags & (os.O_CREAT | os.O_TRUNC | os.O_APPEND))


def essence(runs: Path) -> dict[str, Any]:
    """What lies there, but for times and locks, which say nothing once their process is gone: by
    name the bytes, or what a document says."""
    return {
        str(file.relative_to(runs)): _told(file, runs)
        for file in sorted(runs.rglob("*"))
        if file.is_file() and file.name not in ("run.log", *LOCKS)
    }


MEASURED = (
    *("seconds", "waited", "started", "created", "cost", "latency", "timing", "threads"),
    *("speedup", "noise", "memory"),
)


def _told(file: Path, runs: Path) -> Any:
    if file.suffix in (".json", ".jsonl"):
        lines = [file.read_text()] if file.suffix == ".json" else file.read_text().splitlines()
        return [_timeless(json.loads(line)) for line in lines]
    if file.name == "run.yaml":
        return [line for line in file.read_text().splitlines() if not line.startswith("started:")]
    if file.suffix in (".md", ".html"):  # drawn from report.json
        return len(file.read_bytes()) > 1000
    if file.suffix == ".safetensors":  # the order of its metadata is drawn
        from safetensors import safe_open

        with safe_open(file, "np") as held:
            return dict(held.metadata() or {}), {
                name: held.get_tensor(name).tobytes()
                for name in held.keys()  # noqa: SIM118
            }
    if file.suffix == ".npz":
        import numpy as np

        with np.load(file) as arrays:
            return {name: arrays[name].tobytes() for name in arrays}
    return file.read_bytes()


def _timeless(found: Any) -> Any:
    if isinstance(found, dict):
        kept = {k: v for k, v in found.items() if not any(word in k for word in MEASURED)}
        return {key: _timeless(value) for key, value in kept.items()}
    return [_timeless(one) for one in found] if isinstance(found, list) else found
