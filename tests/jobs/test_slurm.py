"""The engine for Slurm, with programs in the place of Slurm's that write down what they are asked.
What Slurm makes of it: tests/slurm."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from job_nodes import node

from kdcli.core.errors import UsageError
from kdcli.jobs.engine import Outcome, log_of
from kdcli.jobs.node import Node

pytest.importorskip("submitit")

from kdcli.jobs import slurm, slurm_job
from kdcli.jobs.slurm import Slurm
from kdcli.jobs.slurm_job import Command
from kdcli.jobs.slurm_options import read_options

NODES = [node("t"), node("b"), node("s1", "t"), node("s2", "t", "gone"), node("e", "s1", "b")]


class Seen:
    """What a watch was told."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.over: list[str] = []

    def started(self, node: Node) -> None:
        self.begun.append(node.name)

    def waits(self, node: Node, why: str) -> None:
        pass

    def ended(self, node: Node, outcome: Outcome) -> None:
        self.over.append(node.name)

    def running(self, nodes: Sequence[Node]) -> None:
        pass


class Queue:
    """Slurm's programs; what they say is in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, does in {
            "sbatch": 'n=$(ls | grep -c "[.]sbatch$"); cp "$1" $((n + 1)).sbatch\n'
            "[ ! -f refuses ] || { cat refuses >&2; exit 1; }; echo job $((n + 1))",
            "squeue": "cat states",
            "scancel": 'echo "$@" > cancelled',
            "srun": "",
        }.items():
            (folder / name).write_text(f"#!/bin/sh\ncd {folder}\n{does}\n")
            (folder / name).chmod(0o755)
        self.says({})

    def says(self, states: dict[str, str]) -> None:
        (self.folder / "states").write_text("".join(f"{k} {v}\n" for k, v in states.items()))

    def options(self, number: int) -> dict[str, str]:
        lines = (self.folder / f"{number}.sbatch").read_text().splitlines()
        named = [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")]
        return dict((*one.split("=", 1), "")[:2] for one in named)

    def leaves(self, number: str, code: int) -> None:
        folder = slurm._folder(NODES[0])
        (folder / f"{number}_0_result.pkl").write_bytes(pickle.dumps(("success", code)))


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    monkeypatch.setenv("PATH", str(bin_), prepend=":")
    monkeypatch.setenv("KD_RUNS", str(tmp_path / "runs"))
    for name, seconds in {"LOOK": 0.01, "ASK": 0.0, "GRACE": 0.0}.items():
        monkeypatch.setattr(slurm, f"{name}_SECONDS", seconds)
    return Queue(bin_)


def engine(*options: str, waits: bool = True) -> Slurm:
    return Slurm(read_options(options), waits=waits)


def test_jobs_are_arrays_behind_those_that_they_need(queue: Queue) -> None:
    found = engine("gres=gpu:1,time=2-0,cpus-per-task=4", waits=False).run(NODES, Seen())
    assert {one.state for one in found.values()} == {"submitted"}
    first, second, third = (queue.options(number) for number in (1, 2, 3))
    assert (first["array"], first["time"], first["gres"]) == ("0-1%2", "2880", "gpu:1")
    assert (first["job-name"], first["signal"]) == ("kd", "USR2@120")
    assert "requeue" in first
    assert "dependency" not in first
    assert (second["array"], second["dependency"]) == ("0-1%2", "afterok:1_0")
    assert (third["dependency"], third["kill-on-invalid-dep"]) == ("afterok:2_0:1_1", "yes")
    assert "srun" in (text := (queue.folder / "3.sbatch").read_text())
    assert "--cpus-per-task=4 " in text.splitlines()[-1]


def test_a_job_gets_its_command_the_folder_and_the_environment(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KD_CACHE", "here")
    engine(waits=False).run([node("t", command="kd train 'a b'")], Seen())
    with (slurm._folder(NODES[0]) / "1_submitted.pkl").open("rb") as file:
        command = pickle.load(file).function
    assert command.line == [sys.executable, "-m", "kdcli", "train", "a b"]
    assert command.environment["KD_CACHE"] == "here"
    assert command.environment["KD_RUNS"] == os.environ["KD_RUNS"]
    assert command.folder == Path.cwd()


def test_what_becomes_of_them(queue: Queue) -> None:
    """The teacher fails; who needs it is left out, the others are done or lost."""
    nodes = [*NODES, node("lost"), node("killed")]
    seen, found = Seen(), {}
    waiter = threading.Thread(target=lambda: found.update(engine().run(nodes, seen)))
    queue.says({"1_0": "RUNNING", "1_1": "RUNNING", "1_2": "RUNNING", "1_3": "PENDING"})
    waiter.start()
    _until(lambda: {"t", "b", "lost"} <= {*seen.begun})
    queue.leaves("1_0", 4)
    log_of(NODES[0]).write_text("epoch 1\nerror: a loss is not a number\n  try less\n")
    queue.leaves("1_1", 0)
    queue.says({"2_0": "CANCELLED", "2_1": "CANCELLED", "3": "CANCELLED", "1_3": "OUT_OF_MEMORY"})
    waiter.join(60)
    assert {name: one.state for name, one in found.items()} == {
        **{"t": "failed", "b": "done", "s1": "not run", "s2": "not run", "e": "not run"},
        **{"lost": "failed", "killed": "failed"},
    }
    assert (found["t"].code, found["s1"].code, found["e"].code) == (4, 4, 4)
    assert found["t"].reason == "a loss is not a number\ntry less"
    assert found["lost"].reason == "Slurm has ended its job 1_2: gone"
    assert found["killed"].reason == "Slurm has ended its job 1_3: out_of_memory"
    assert {*seen.over} == {one.name for one in nodes}


def _until(is_so) -> None:
    deadline = time.monotonic() + 60
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_what_is_queued_already_is_waited_for(queue: Queue) -> None:
    engine(waits=False).run(NODES, Seen())
    queue.says({"1_0": "RUNNING", "1_1": "COMPLETED", "2_0": "PENDING", "2_1": "CANCELLED"})
    engine(waits=False).run(NODES, Seen())
    assert queue.options(4)["job-name"] == "kd"  # b again, behind nothing
    assert "dependency" not in queue.options(4)
    assert queue.options(5)["dependency"] == "afterok:1_0"  # s2 again, behind the one teacher
    assert queue.options(6)["dependency"] == "afterok:2_0:4"
    assert not (queue.folder / "7.sbatch").exists()


def test_a_slurm_that_refuses_is_told(queue: Queue) -> None:
    (queue.folder / "refuses").write_text("sbatch: error: invalid partition specified: gpuu\n")
    with pytest.raises(UsageError, match="invalid partition specified: gpuu"):
        engine("partition=gpuu").run(NODES, Seen())


def test_without_slurm_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="no Slurm here"):
        engine().run(NODES, Seen())


def test_ctrl_c_takes_them_out_of_the_queue(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.says({"1_0": "RUNNING"})

    class Impatient(Seen):
        def started(self, node: Node) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine().run(NODES, Impatient())
    assert (queue.folder / "cancelled").read_text().split() == ["1_0", "1_1", "2_0", "2_1", "3"]


# On the node -------------------------------------------------------------------------------------


def command(tmp_path: Path, code: str) -> Command:
    line = [sys.executable, "-c", code]
    return Command(line, tmp_path / "log", tmp_path, {"KD_RUNS": "theirs"})


def test_a_job_ends_with_the_code_of_kd(tmp_path: Path) -> None:
    """Slurm goes by it; submitit goes by what the function returns."""
    program = (
        "from pathlib import Path; from kdcli.jobs.slurm_job import Command; import sys\n"
        "line = [sys.executable, '-c', 'import os; print(os.environ[\"KD_RUNS\"]); os._exit(3)']\n"
        "print(Command(line, Path('log'), Path.cwd(), {'KD_RUNS': 'theirs'})(), flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (3, "3\n")
    assert (tmp_path / "log").read_text() == "theirs\n"


def test_a_folder_in_use_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_job, "AGAIN_SECONDS", 0.01)
    code = "from pathlib import Path; f = Path('n'); n = f.exists(); f.touch(); exit(0 if n else 9)"
    assert command(tmp_path, code)() == 0


def test_what_was_stopped_is_queued_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_job, "DECIDED_SECONDS", 0.01)

    def heard(*_: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGUSR2, heard)
    try:
        with pytest.raises(InterruptedError):
            command(tmp_path, "exit(143)")()
    finally:
        signal.signal(signal.SIGUSR2, before)


@pytest.mark.parametrize("hears", [True, False])
def test_at_a_time_limit_kd_is_stopped_within_the_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hears: bool
) -> None:
    """As submitit calls it: inside a signal handler, while the wait holds its lock."""
    monkeypatch.setattr(slurm_job, "STOP_SECONDS", 0.2 if not hears else 30)
    job = command(
        tmp_path,
        "import signal, time\n"
        f"signal.signal(signal.SIGUSR2, lambda *_: exit(0) if {hears} else None)\n"
        "print('there', flush=True); time.sleep(60)",
    )

    def checkpoint(*_: object) -> None:
        if hears:
            os.kill(job._child.pid, signal.SIGUSR2)
        again.append(job.checkpoint())
        raise SystemExit

    again: list[object] = []
    before = signal.signal(signal.SIGALRM, checkpoint)
    try:
        thread = threading.Thread(
            target=lambda: (
                _until(lambda: "there" in (tmp_path / "log").read_text()),
                signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM),
            )
        )
        (tmp_path / "log").touch()
        thread.start()
        with pytest.raises(SystemExit):
            job()
    finally:
        signal.signal(signal.SIGALRM, before)
        thread.join()
    assert again[0].function.line == job.line
    assert not hasattr(again[0].function, "_child")
