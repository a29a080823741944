"""Jobs in a Slurm cluster's queue, through submitit. Those that need the same others are an array
behind them (afterok); one that is preempted or comes to its time limit is queued again, and kd
goes on from its last checkpoint.
"""

import getpass
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from submitit import Job, SlurmExecutor, SlurmJob
from submitit.core.utils import FailedJobError, UncompletedJobError

from kdcli.core.errors import ExitCode, UsageError
from kdcli.core.files import write_text
from kdcli.core.text import first_line
from kdcli.jobs.engine import Outcome, Watch, arguments, given, log_of, not_run, outcome_of
from kdcli.jobs.node import Node, stages
from kdcli.jobs.slurm_job import Command
from kdcli.jobs.slurm_options import WARNING_SECONDS, minutes

REQUEUED_AT_MOST = 100
"""Times that a job may come to its time limit."""
LONGEST_ARRAY = 1000
LOOK_SECONDS, ASK_SECONDS = 1.0, 10.0
"""Between two looks at what jobs have left behind, and two questions to Slurm."""
GRACE_SECONDS = 60.0
"""After the end of a job, until what it has written must be seen from here."""
OVER = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "REVOKED", "TIMEOUT", "GONE"),
}


@dataclass(frozen=True)
class Slurm:
    """The engine."""

    options: Mapping[str, str]
    """Of sbatch, by name (`slurm_options.read_options`)."""
    at_once: int | None = None
    """Jobs of an array that may run at the same time; None: as many as there is room for."""
    waits: bool = True

    def run(self, nodes: Sequence[Node], watch: Watch) -> dict[str, Outcome]:
        """As of any engine; where nobody waits, all are `submitted`. What an earlier call has
        queued is not queued again.

        Raises:
            UsageError: there is no Slurm here, or it takes no such jobs.
        """
        if not shutil.which("sbatch"):
            raise UsageError("no Slurm here: there is no sbatch", "call kd on a login node")
        jobs: dict[str, Job[int]] = {}
        try:
            self._submit(nodes, jobs)
            if not self.waits:
                return {node.name: Outcome("submitted", log=log_of(node)) for node in nodes}
            return _Wait(nodes, jobs, self.options["job-name"], watch).outcomes()
        except KeyboardInterrupt:
            if self.waits and jobs:
                subprocess.run(["scancel", *(job.job_id for job in jobs.values())], check=False)
            raise

    def _submit(self, nodes: Sequence[Node], jobs: dict[str, Job[int]]) -> None:
        """Add the job of every node."""
        states = _states(self.options["job-name"]) or {}
        alive = {number for number, state in states.items() if state not in OVER}
        for stage in stages(nodes):
            arrays: dict[tuple[str, ...], list[Node]] = {}
            for node in stage:
                behind = tuple(jobs[name].job_id for name in node.needs if name in jobs)
                known = _number(node)
                if known in alive and alive.issuperset(behind):
                    jobs[node.name] = SlurmJob(_folder(node), known)
                else:
                    arrays.setdefault(behind, []).append(node)
            for behind, array in arrays.items():
                for start in range(0, len(array), LONGEST_ARRAY):
                    jobs |= self._submit_array(array[start : start + LONGEST_ARRAY], behind)

    def _submit_array(self, nodes: Sequence[Node], behind: Sequence[str]) -> dict[str, Job[int]]:
        executor = SlurmExecutor(_folder(nodes[0]), max_num_timeout=REQUEUED_AT_MOST)
        further: dict[str, Any] = {key: value or True for key, value in self.options.items()}
        further["requeue"] = True  # clusters may have it off
        if behind:
            further |= {"dependency": f"afterok:{':'.join(behind)}", "kill-on-invalid-dep": "yes"}
        cores = self.options.get("cpus-per-task")  # srun does not ask sbatch
        executor.update_parameters(
            job_name=further.pop("job-name"),
            time=minutes(further.pop("time")),
            signal_delay_s=WARNING_SECONDS,
            stderr_to_stdout=True,
            array_parallelism=self.at_once or len(nodes),
            additional_parameters=further,
            srun_args=[f"--cpus-per-task={cores}"] if cores else None,
        )
        try:
            with executor.batch():
                jobs = [executor.submit(_command(node)) for node in nodes]
        except FailedJobError as error:
            raise UsageError(f"Slurm does not take it: {first_line(error)}") from error
        for node, job in zip(nodes, jobs, strict=True):
            log_of(node).unlink(missing_ok=True)
            write_text(_number_file(node), job.job_id)
        return {node.name: job for node, job in zip(nodes, jobs, strict=True)}


@dataclass
class _Wait:
    """For the end of all jobs."""

    nodes: Sequence[Node]
    jobs: Mapping[str, Job[int]]
    job_name: str
    watch: Watch
    found: dict[str, Outcome] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    ended: dict[str, float] = field(default_factory=dict)
    """Since when each is known to be over that has left nothing here."""

    def outcomes(self) -> dict[str, Outcome]:
        """By name."""
        states, asked = _states(self.job_name), time.monotonic()
        while len(self.found) < len(self.nodes):
            if time.monotonic() - asked > ASK_SECONDS:
                states, asked = _states(self.job_name) or states, time.monotonic()
            running = [node for node in self.nodes if self._runs(node, states)]
            if running:
                self.watch.running(running)
            time.sleep(LOOK_SECONDS)
        return self.found

    def _runs(self, node: Node, states: Mapping[str, str] | None) -> bool:
        if node.name in self.found:
            return False
        job = self.jobs[node.name]
        state = "UNKNOWN" if states is None else states.get(job.job_id, "GONE")
        outcome = not_run(node, self.found) or self._left(node, job, state)
        if state == "RUNNING" and node.name not in self.begun:
            self.begun.add(node.name)
            self.watch.started(node)
        if outcome:
            self.found[node.name] = outcome
            self.watch.ended(node, outcome)
        return state == "RUNNING" and not outcome

    def _left(self, node: Node, job: Job[int], state: str) -> Outcome | None:
        """What has become of it, by what it has left behind; None: nothing yet."""
        result = job.paths.result_pickle
        is_there = result in result.parent.iterdir()  # asks the file server, as stat may not
        if not is_there and state not in OVER:
            self.ended.pop(node.name, None)
            return None
        waited = time.monotonic() - self.ended.setdefault(node.name, time.monotonic())
        outcome = Outcome(
            "failed",
            int(ExitCode.TERMINATED),
            f"Slurm has ended its job {job.job_id}: {state.lower()}",
            job.paths.stdout,
        )
        code = 0
        if is_there:
            try:
                code = job.result()
            except UncompletedJobError as error:  # submitit's own, not kd's
                return replace(outcome, reason=str(error))
            outcome = outcome_of(node, code)
        late = code == 0 and outcome.state != "done" and waited < GRACE_SECONDS
        return None if late else outcome


def _command(node: Node) -> Command:
    return Command(arguments(node), log_of(node).absolute(), Path.cwd(), given())


def _folder(node: Node) -> Path:
    """What submitit keeps."""
    return log_of(node).parent / "slurm"


def _number_file(node: Node) -> Path:
    return log_of(node).with_suffix(".job")


def _number(node: Node) -> str:
    """Of the job that was queued last for it; "" where none was."""
    file = _number_file(node)
    return file.read_text("utf-8") if file.is_file() else ""


def _states(job_name: str) -> dict[str, str] | None:
    """Of all my jobs of this name that Slurm still knows, by number; None: it does not answer."""
    line = ["squeue", "--noheader", "--array", "--states=all", f"--user={getpass.getuser()}"]
    asked = subprocess.run(
        [*line, f"--name={job_name}", "--format=%i %T"], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        return None
    return dict(row.split(maxsplit=1) for row in asked.stdout.splitlines())
