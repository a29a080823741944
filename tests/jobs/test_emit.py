"""What is written for other engines is read as they read it."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from job_nodes import node

from kdcli.core.errors import UsageError
from kdcli.jobs.emit import Kind, emit
from kdcli.jobs.slurm_options import read_options

ODD = "kd distill --teacher 'my $models/it'\"'\"'s.pt' --set 'data.hidden={keep: 10}'"
NODES = [
    node("t", command=ODD),
    node("s", "t", "long-finished", command="kd distill"),
    node("b", command="kd distill --only b"),
    node("evaluate-s", "s", "b", command="kd evaluate runs/s"),
]
FILE = Path("my cells.yaml")


@pytest.fixture(autouse=True)
def _runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KD_RUNS", "/shared/$mine and yours")


def recorder(folder: Path, name: str) -> None:
    """A program of this name that writes down what it is given, KD_RUNS and stdin, too."""
    file = folder / name
    file.write_text(
        f'#!/bin/sh\nn=$(ls {folder} | grep -c txt)\nprintf "%s\\n" "$KD_RUNS" "$@" '
        f"> {folder}/$n.txt\n[ {name} = kd ] || {{ cat > {folder}/$n.sh; echo $((n + 1)); }}\n"
    )
    file.chmod(0o755)


@pytest.mark.skipif(not shutil.which("make"), reason="no make here")
def test_make_does_all_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder(tmp_path, "kd")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "Makefile").write_text(emit("make", FILE, NODES, {}))
    monkeypatch.delenv("KD_RUNS")
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):  # `make test` runs this one
        monkeypatch.delenv(name, raising=False)
    plan = subprocess.run(
        ["make", "-n"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    commands = [one.command for one in NODES]
    assert plan == commands
    subprocess.run(["make"], cwd=tmp_path, capture_output=True, check=True)
    done = [(tmp_path / f"{n}.txt").read_text().splitlines() for n in range(4)]
    assert done == [["/shared/$mine and yours", *shlex.split(one)[1:]] for one in commands]


def test_each_job_of_the_script_is_behind_those_that_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder(tmp_path, "sbatch")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    script = tmp_path / "sweep.sh"
    script.write_text(emit("slurm", FILE, NODES, read_options(["gres=gpu:1,time=30,comment=a b"])))
    subprocess.run(["bash", "-n", script], check=True)
    subprocess.run(["sh", script], check=True)
    given = [(tmp_path / f"{n}.txt").read_text().splitlines() for n in range(4)]
    assert [line[0] for line in given] == ["/shared/$mine and yours"] * 4
    for line in given:
        assert {"--gres=gpu:1", "--time=30", "--comment=a b", "--requeue"} < {*line}
    behind = [[a for a in line if a.startswith("--dependency")] for line in given]
    assert behind == [[], ["--dependency=afterok:1"], [], ["--dependency=afterok:2:3"]]
    assert [line[2] for line in given] == [f"--job-name={one.name}" for one in NODES]
    lines = (tmp_path / "0.sh").read_text().splitlines()
    assert lines[0] == "#!/bin/sh"
    assert lines[1].endswith(f" {ODD}")


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (3, 3), (143, 143)])
def test_a_job_that_was_stopped_is_queued_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, expected: int
) -> None:
    recorder(tmp_path, "sbatch")
    for name, does in (("srun", f"exit {code}"), ("scontrol", f'echo "$@" > {tmp_path}/again')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    script = emit("slurm", FILE, NODES[:1], read_options([]))
    subprocess.run(["sh", "-c", script], check=True)
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert subprocess.run(["sh", tmp_path / "0.sh"], check=False).returncode == expected
    assert (tmp_path / "again").exists() == (code == 143)


def test_the_task_of_skypilot_is_yaml() -> None:
    task = yaml.safe_load(emit("sky", FILE, NODES, {}))
    assert task["name"] == "kd-my-cells"
    assert shlex.split(task["run"]) == ["kd", "sweep", "my cells.yaml"]
    assert task["envs"]["KD_RUNS"].startswith(next(iter(task["file_mounts"])))
    assert task["resources"]["use_spot"] is True


@pytest.mark.parametrize("kind", ["make", "slurm", "sky"])
@pytest.mark.parametrize("sign", ["\n", "\x1b", "\u202e", "\udcff"], ids=ascii)
def test_what_a_job_file_cannot_hold_is_refused(kind: Kind, sign: str) -> None:
    """A newline in a name from somebody's cells would be a line of the Makefile."""
    odd = node("t", command=shlex.join(["kd", "distill", "--data", f"a{sign}\ttouch x"]))
    with pytest.raises(UsageError, match="control characters"):
        emit(kind, FILE, [odd], {})


@pytest.mark.parametrize("kind", ["make", "slurm", "sky"])
def test_the_name_of_the_file_forges_no_line(kind: Kind) -> None:
    text = emit(kind, Path("a\n\ttouch x\n.yaml"), NODES, {})
    assert "\n\ttouch x" not in text
