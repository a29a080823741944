"""`kd sweep`: what is missing of a sweep's jobs is done, what is there is compared."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kdcli.commands.compare import compare
from kdcli.commands.documents.swept import (
    CellPart,
    FailedJob,
    SweepTable,
    Swept,
)
from kdcli.commands.sweep_plan import own_jobs, trained, words_of
from kdcli.core.errors import DamagedFile, DataError, ExitCode, KdError, UsageError
from kdcli.core.progress import Progress
from kdcli.core.text import counted, duration
from kdcli.jobs.engine import Engine, Outcome
from kdcli.jobs.graph import in_a_row, is_evaluated
from kdcli.jobs.node import Graph, Node, Planned
from kdcli.runs.baseline import baseline_of
from kdcli.runs.find import find, is_finished
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec

if TYPE_CHECKING:
    from kdcli.jobs.slurm import Slurm

Board = Callable[[Sequence[str]], None]
"""Shows these lines until the next ones come."""


def carry_out(
    file: Path, graph: Graph, engine: Engine, progress: Progress, board: Board = lambda lines: None
) -> Swept:
    """Do what is missing; a failure leaves the other cells alone."""
    missing = graph.missing
    how_long = f"; kd sweep {file} --dry-run says how long" if missing else ""
    progress.say(words_of(graph, missing) + how_long)
    watch = _Watch(progress, board, len(missing))
    try:
        outcomes = engine.run(missing, watch)
    finally:
        board(())
    return _swept(file, graph, outcomes)


def on_slurm(options: Mapping[str, str], jobs: int | None, waits: bool) -> "Slurm":
    """The engine that these options of sbatch describe; `jobs` of an array at a time.

    Raises:
        UsageError: submitit is not installed.
    """
    try:
        from kdcli.jobs.slurm import Slurm
    except ImportError as error:
        raise UsageError("--slurm needs submitit", "pip install 'kdcli[slurm]'") from error
    return Slurm(options, jobs, waits)


@dataclass
class _Watch:
    """Tells who is where."""

    progress: Progress
    board: Board
    jobs: int
    over: int = 0
    _begun: dict[str, float] = field(default_factory=dict)

    def started(self, node: Node) -> None:
        self._begun[node.name] = time.monotonic()

    def waits(self, node: Node, why: str) -> None:
        self.progress.say(f"{node.words} waits: {why}")

    def ended(self, node: Node, outcome: Outcome) -> None:
        self.over += 1
        at = f"[{self.over}/{self.jobs}] {node.words}"
        if outcome.state == "failed":
            reason = next(iter(outcome.reason.splitlines()), "")
            self.progress.warn(f"{at} failed: {reason}; all of it: {outcome.log}")
        elif outcome.state != "not run":
            begun = self._begun.get(node.name)
            took = f", {duration(time.monotonic() - begun)}" if begun else ""
            self.progress.say(f"{at}: {outcome.state}{took}")

    def running(self, nodes: Sequence[Node]) -> None:
        self.board([f"{node.words}{_reached(node)}" for node in nodes])


def _reached(node: Node) -> str:
    """`: epoch 3 of 40, 0.912`, of a training that has come so far."""
    epochs = [line for line in Run(node.run).lines() if "epoch" in line] if node.spec else []
    if not (node.spec and epochs):
        return ""
    last, of = epochs[-1], node.spec.recipe.train.epochs
    return f": epoch {last['epoch']} of {of}, {last.get('val_accuracy', 0.0):.3f}"


# What became of it -------------------------------------------------------------------------------


def _swept(file: Path, graph: Graph, outcomes: Mapping[str, Outcome]) -> Swept:
    cells = [_cell(one, graph, outcomes) for one in graph.cells]
    failed = [
        FailedJob(
            job=node.words,
            code=found.code,
            reason=found.reason,
            log=str(found.log) if found.log else None,
            command=node.command,
        )
        for node in graph.nodes
        if (found := outcomes.get(node.name)) and found.state == "failed"
    ]
    done = sum(cell.state == "done" for cell in cells)
    return Swept(file=str(file), done=done, cells=cells, failed=failed)


def _cell(one: Planned, graph: Graph, outcomes: Mapping[str, Outcome]) -> CellPart:
    """By the first of its jobs that is not done."""
    ends = [outcomes[node.name] for node in own_jobs(one, graph) if node.name in outcomes]
    found = next((end for end in ends if end.state != "done"), Outcome("done"))
    return CellPart(
        cell=dict(one.cell.point),
        run=str(_path(one.spec, graph)),
        state=found.state,
        code=found.code,
        reason=found.reason,
        log=str(found.log) if found.log else None,
    )


def _path(spec: Spec, graph: Graph) -> Path:
    return next(node.run for node in graph.nodes if node.name == spec.digest)


def failure_of(found: Swept) -> KdError | None:
    """The first failed cell's; None: every cell is finished, or on its way."""
    lost = [cell for cell in found.cells if cell.state in ("failed", "not run")]
    if not lost:
        return None
    known = {int(code): code for code in ExitCode}
    error = KdError(
        f"{len(lost)} of {counted(len(found.cells), 'cell')} not finished",
        "the same command tries them again; the others are as they are",
    )
    error.code = known.get(lost[0].code, ExitCode.DEFECT)
    return error


# The table ---------------------------------------------------------------------------------------


def table(graph: Graph, device: str, progress: Progress) -> SweepTable:
    """`kd compare` over the groups whose students and baselines are finished by now; each data set
    by itself.

    Raises:
        DataError: there is none yet.
        DamagedFile: all that there are are damaged; of others these are left out, and named.
    """
    things: dict[str, list[str]] = {}
    for group in graph.groups:
        images = json.dumps(group[0].spec.data.deciding, sort_keys=True)
        things.setdefault(images, []).extend(_comparable(group))
    done = trained(graph, graph.missing)
    if not any(things.values()):
        raise DataError(
            f"{done} of {counted(len(graph.cells), 'cell')} done, none with its baseline: nothing "
            "to compare yet",
            "without --table the same command trains what is missing",
        )
    tables, lost = [], list[DamagedFile]()
    for each in filter(None, things.values()):
        try:
            tables.append(compare(each, over_own=True, device=device, progress=progress))
        except DamagedFile as error:  # none of these images' is left, and each was named
            lost.append(error)
    if lost and not tables:
        raise lost[0]
    return SweepTable(cells=len(graph.cells), done=done, groups=len(graph.groups), tables=tables)


def _comparable(group: Sequence[Planned]) -> list[str]:
    """Its runs: of seeds that were evaluated together the first, which has the others' answers."""
    found = []
    for part in in_a_row(group):
        specs = [one.spec for one in part]
        done = [s for s in specs if is_finished(s) and is_finished(baseline_of(s))]
        runs = [find(spec) for spec in (specs[:1] if is_evaluated(specs[0], len(part)) else done)]
        found += [str(run.path) for run in runs if run]
    return found
