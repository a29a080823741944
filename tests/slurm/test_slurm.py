"""Sweeps on a real Slurm, which runs on this machine meanwhile (`one_machine.sh`)."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("submitit")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not shutil.which("slurmctld", path=f"/usr/sbin:{os.environ['PATH']}") or os.getuid() != 0,
        reason="no Slurm here, or not root: sh tests/slurm/one_machine.sh install",
    ),
]
SCRIPT = Path(__file__).with_name("one_machine.sh")
TWO_CELLS = """\
common: {teacher: test_resnet, student: test_efficientnet, data: digits, train.epochs: 1,
         teacher.recipe: teacher.yaml}
axes: {recipe: [kd, dkd]}
"""
SLURM = ("--slurm", "time=30")


@pytest.fixture(scope="module")
def _slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("slurm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        begun = subprocess.run(["sh", SCRIPT, "start", folder], capture_output=True, text=True)
        if begun.returncode:  # a sandbox may forbid what its daemons do
            pytest.skip(f"Slurm does not start here: {begun.stderr.strip()}")
        yield
        subprocess.run(["sh", SCRIPT, "stop", folder], check=True)


@pytest.fixture
def cluster(_slurm: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the cells of a sweep, whose runs are there."""
    monkeypatch.setenv("KD_RUNS", "runs")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.yaml").write_text(TWO_CELLS)
    (tmp_path / "teacher.yaml").write_text("scheme: alone\ntrain: {epochs: 25}\n")
    return tmp_path


def begin(*arguments: str) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", "kdcli", "sweep", *arguments]
    return subprocess.Popen(
        line, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ}
    )


def sweep(*arguments: str, code: int = 0) -> str:
    process = begin(*arguments)
    out, err = process.communicate(timeout=600)
    assert process.returncode == code, err
    return out


def until(found: Callable[[], object], process: "subprocess.Popen[str] | None" = None) -> None:
    deadline = time.monotonic() + 300
    while not found():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.2)


def squeue(what: str) -> list[str]:
    line = ["squeue", "--noheader", "--array", f"--format={what}"]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout.split()


def test_two_cells_one_teacher_that_is_queued_again(cluster: Path) -> None:
    process = begin("two.yaml", *SLURM)
    until(lambda: list(cluster.glob("runs/teacher-*/state.pt")), process)
    numbers = (cluster / "runs" / "sweeps").glob("*.job")
    teacher = next(cluster.glob("runs/teacher-*")).name.rpartition("-")[2]
    (job,) = [file.read_text() for file in numbers if file.stem == teacher]
    subprocess.run(["scancel", "--signal=USR2", job], check=True)  # as at a time limit
    until(lambda: f"{job}:PENDING" in squeue("%i:%T"), process)
    time.sleep(5)  # for which Slurm takes two minutes: begun before its first end, a job fails
    subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], check=False)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert "2 of 2 cells done" in out
    log = next(cluster.glob("runs/teacher-*/run.log")).read_text()
    assert log.count("epoch 1/25") == 1
    assert len(list(cluster.glob("runs/*/run.yaml"))) == 4  # teacher, two students, baseline
    again = json.loads(sweep("two.yaml", *SLURM, "--json"))
    assert again["done"] == 2


def test_srun_starts_several_processes_of_one_training(cluster: Path) -> None:
    who = ("distill", "--teacher", "test_vit", "--student", "test_vit", "--json")
    how = ("--set", "train.epochs=1", "--set", "teacher.recipe=teacher.yaml")
    srun = ("srun", "--ntasks", "2", "--time", "10", sys.executable, "-m", "kdcli")
    said = subprocess.run([*srun, *who, *how], capture_output=True, text=True, timeout=600)
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["run"]
    assert "the first of 2 processes" in said.stderr


def test_a_cell_that_fails_is_named_and_the_other_goes_on(cluster: Path) -> None:
    (cluster / "two.yaml").write_text(
        TWO_CELLS.replace("recipe: [kd, dkd]", "train.lr: [0.001, 1.0e+30]")
    )
    told = sweep("two.yaml", *SLURM, code=4)
    assert "1 of 2 cells done" in told
    assert "failed (exit 4): student train.lr=1e+30" in told


def test_what_was_queued_and_left_alone_is_waited_for_later(cluster: Path) -> None:
    told = sweep("two.yaml", *SLURM, "--detach")
    assert "submitted" in told
    before = {*squeue("%i")}
    process = begin("two.yaml", *SLURM)
    time.sleep(5)
    assert {*squeue("%i")} <= before
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert "2 of 2 cells done" in out


def test_the_script_queues_its_jobs_and_they_end_well(
    cluster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kd = cluster / "bin" / "kd"
    kd.parent.mkdir()
    kd.write_text(f'#!/bin/sh\nexec {sys.executable} -m kdcli "$@"\n')
    kd.chmod(0o755)
    monkeypatch.setenv("PATH", str(kd.parent), prepend=":")
    sweep("two.yaml", *SLURM, "--emit", "slurm", "--out", "jobs.sh")
    said = subprocess.run(["sh", "jobs.sh"], capture_output=True, text=True, check=True).stdout
    assert f"{len(squeue('%i'))} jobs queued" in said
    until(lambda: not squeue("%i"))
    table = json.loads(sweep("two.yaml", "--table", "--json"))
    assert (table["done"], table["cells"]) == (2, 2)
