"""The engine "this machine": order, failures, another kd in the folder, memory, signals."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kdcli.jobs import local
from kdcli.jobs.engine import Outcome
from kdcli.jobs.local import Local
from kdcli.jobs.node import Node, stages


@dataclass
class Watched:
    """Remembers what was told."""

    told: list[str] = field(default_factory=list)

    def started(self, node: Node) -> None:
        self.told.append(f"+{node.name}")

    def waits(self, node: Node, why: str) -> None:
        self.told.append(f"{node.name} waits: {why}")

    def ended(self, node: Node, outcome: Outcome) -> None:
        self.told.append(f"-{node.name}")

    def running(self, nodes: Sequence[Node]) -> None:
        pass


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Node]:
    """Makes nodes whose command is a line of Python; each is finished when it has left a file."""
    monkeypatch.setenv("KD_RUNS", str(tmp_path))

    def python(node: Node) -> list[str]:
        script = f"import os, sys, time, pathlib\n{node.command}"
        done = f"\npathlib.Path({str(tmp_path / node.name)!r}).touch()"
        return [sys.executable, "-S", "-c", script + done]

    monkeypatch.setattr(local, "arguments", python)

    def make(name: str, command: str = "", needs: tuple[str, ...] = ()) -> Node:
        is_done = (tmp_path / name).is_file
        return Node(name, "student", name, command, needs, tmp_path, is_done)

    return make


def test_a_failure_leaves_out_those_that_need_it_alone(job: Callable[..., Node]) -> None:
    fails = "print('\\nerror: the disk is full\\n  free some', file=sys.stderr); sys.exit(6)"
    nodes = [
        job("a", fails),
        job("b"),
        job("c", needs=("a",)),
        job("d", needs=("c",)),
        job("e", needs=("b", "not among these")),
        job("f", "sys.exit(0)"),
    ]
    assert [[n.name for n in stage] for stage in stages(nodes)] == [
        ["a", "b", "f"],
        ["c", "e"],
        ["d"],
    ]
    found = Local(2).run(nodes, watch := Watched())
    assert {name: (end.state, end.code) for name, end in found.items()} == {
        "a": ("failed", 6),
        "b": ("done", 0),
        "c": ("not run", 6),
        "d": ("not run", 6),
        "e": ("done", 0),
        "f": ("failed", 1),
    }
    assert found["d"].reason == "the disk is full\nfree some"
    assert found["d"].log
    assert "its result is not there" in found["f"].reason
    assert watch.told.index("-b") < watch.told.index("+e")


def test_as_many_at_a_time_as_were_asked_for(job: Callable[..., Node], tmp_path: Path) -> None:
    met = str(tmp_path / "met")
    Path(met).mkdir()
    wait = (
        "end = time.time() + 20\n"
        f"while len(os.listdir({met!r})) < 2 and time.time() < end: time.sleep(0.01)\n"
        f"assert os.environ['KD_CORES'] and len(os.listdir({met!r})) == 2"
    )
    meet = [f"pathlib.Path({met!r}, {name!r}).touch()\n{wait}" for name in "ab"]
    found = Local(2).run([job("a", meet[0]), job("b", meet[1])], Watched())
    assert {end.state for end in found.values()} == {"done"}


def test_no_other_starts_where_memory_has_no_room(
    job: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "free_memory_bytes", lambda: 1_500_000_000)
    watch = Watched()
    Local(2).run([job("a", "time.sleep(0.3)"), job("b")], watch)
    assert watch.told == ["+a", "b waits: 1.5 GB of memory are free", "-a", "+b", "-b"]


def test_a_folder_that_another_kd_works_in_is_waited_for(
    job: Callable[..., Node], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "IN_USE_SECONDS", 0.1)
    here = str(tmp_path / "here")
    first = f"if not os.path.exists({here!r}): pathlib.Path({here!r}).touch(); sys.exit(9)"
    watch = Watched()
    assert Local(1).run([job("a", first)], watch)["a"].state == "done"
    assert watch.told == ["+a", "a waits: another kd works in its folder", "+a", "-a"]


def test_a_gpu_each(job: Callable[..., Node], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "gpus", lambda: ["3", "7"])
    said = [
        job(name, "print(os.environ['CUDA_VISIBLE_DEVICES']); time.sleep(0.5)") for name in "ab"
    ]
    engine = Local()
    assert engine.at_once == 2
    found = engine.run(said, Watched())
    seen = [found[name].log.read_text().split()[-1] for name in "ab"]  # type: ignore[union-attr]
    assert sorted(seen) == ["3", "7"]


def test_ctrl_c_stops_what_runs_in_good_order(job: Callable[..., Node], tmp_path: Path) -> None:
    """Told once, by SIGTERM; waited for; nothing else begins."""
    stopped = tmp_path / "stopped"
    works = (
        "import signal\n"
        f"def stop(*_): time.sleep(0.3); pathlib.Path({str(stopped)!r}).touch(); sys.exit(143)\n"
        f"signal.signal(signal.SIGTERM, stop); pathlib.Path({str(tmp_path / 'up')!r}).touch()\n"
        "time.sleep(60)"
    )

    def interrupt() -> None:
        while not (tmp_path / "up").exists():
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        Local(1).run([job("a", works), job("b")], Watched())
    assert stopped.exists()
    assert not (tmp_path / "b").exists()
