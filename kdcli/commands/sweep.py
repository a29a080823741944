"""`kd sweep`: what is missing of a sweep's jobs is done, planned, or compared."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdcli.commands.compare import compare
from kdcli.commands.documents.swept import (
    CellPart,
    FailedJob,
    JobPart,
    SweepPlan,
    SweepTable,
    Swept,
)
from kdcli.core.errors import DataError, ExitCode, KdError
from kdcli.core.progress import Progress
from kdcli.core.text import counted, duration, some
from kdcli.jobs.engine import Engine, Outcome
from kdcli.jobs.graph import in_a_row, is_evaluated
from kdcli.jobs.node import Graph, Node, Planned, stages
from kdcli.plan.forecast import foresee_all
from kdcli.plan.foreseen import Forecast
from kdcli.runs.baseline import baseline_of
from kdcli.runs.find import find, is_finished
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec

Board = Callable[[Sequence[str]], None]
"""Shows these lines until the next ones come."""


def carry_out(
    file: Path, graph: Graph, engine: Engine, progress: Progress, board: Board = lambda lines: None
) -> Swept:
    """Do what is missing; a failure leaves the other cells alone."""
    missing = graph.missing
    progress.say(f"{words_of(graph, missing)}; kd sweep {file} --dry-run says how long")
    watch = _Watch(progress, board, len(missing))
    try:
        outcomes = engine.run(missing, watch)
    finally:
        board(())
    return _swept(file, graph, outcomes)


def words_of(graph: Graph, missing: Sequence[Node]) -> str:
    """`12 cells, 3 done; to do: 1 teacher, 9 students, 4 baselines, 3 evaluations`."""
    kinds = Counter(node.kind for node in missing)
    stores = f"{kinds.pop('answers')} x answers" if "answers" in kinds else ""
    todo = ", ".join([counted(n, kind) for kind, n in kinds.items()] + [stores] * bool(stores))
    cells, done = counted(len(graph.cells), "cell"), _trained(graph, missing)
    return f"{cells}, {done} done; to do: {todo or 'nothing'}"


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
    ends = [outcomes[node.name] for node in _own(one, graph) if node.name in outcomes]
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


def _own(one: Planned, graph: Graph) -> list[Node]:
    """Its student, and what is made of it."""
    names = {one.spec.digest}
    found = []
    for node in graph.nodes:
        if node.name in names or (node.kind in ("evaluation", "export") and names & {*node.needs}):
            names.add(node.name)
            found.append(node)
    return found


def _trained(graph: Graph, missing: Sequence[Node]) -> int:
    """How many cells have their student."""
    names = {node.name for node in missing}
    return sum(one.spec.digest not in names for one in graph.cells)


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


# The plan ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlannedSweep:
    """What a dry run found."""

    file: Path
    graph: Graph
    missing: list[Node]
    forecasts: list[Forecast]
    jobs: int
    """At a time."""

    @property
    def seconds(self) -> float:
        """One after another."""
        return sum(one.seconds for one in self.forecasts)

    def lines(self) -> list[str]:
        """In words: counts, stages, time and disk."""
        found = [words_of(self.graph, self.missing)]
        for i, stage in enumerate(stages(self.missing), 1):
            titles = some((node.words for node in stage), 6)
            found.append(f"stage {i}, {counted(len(stage), 'job')}: {titles}")
        found += [line for one in self.forecasts for line in one.lines()]
        if self.forecasts:
            side = f", at best {duration(self.seconds / self.jobs)} with {self.jobs} at a time"
            found.append(
                f"{duration(self.seconds)} of training one after another"
                f"{side * (self.jobs > 1)}; evaluations and exports come on top"
            )
        return found

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        at = {node.name: i for i, stage in enumerate(stages(self.missing)) for node in stage}
        jobs = [
            JobPart(
                name=node.name,
                kind=node.kind,
                title=node.title,
                command=node.command,
                needs=[name for name in node.needs if name in at],
                stage=at[node.name],
            )
            for node in self.missing
        ]
        plan = SweepPlan(
            file=str(self.file),
            cells=len(self.graph.cells),
            done=_trained(self.graph, self.missing),
            trainings=dict(Counter(node.spec.role for node in self.missing if node.spec)),
            jobs=jobs,
            plans=[],
        )
        return plan.model_dump(mode="json") | {"plans": [one.as_dict() for one in self.forecasts]}


def dry_run(file: Path, graph: Graph, jobs: int, progress: Progress) -> PlannedSweep:
    """The graph, and a few real steps of each kind of training that is missing."""
    missing = graph.missing
    todo = {node.name: node.spec for node in missing if node.spec}
    by_data: dict[int, tuple[Planned, dict[str, Spec]]] = {}
    for one in graph.cells:
        _, specs = by_data.setdefault(id(one.job.source), (one, {}))
        needed = {name for node in _own(one, graph) for name in (node.name, *node.needs)}
        specs |= {name: spec for name, spec in todo.items() if name in needed}
    forecasts = [
        foresee_all(list(specs.values()), one.job.source, one.job.device, progress)
        for one, specs in by_data.values()
        if specs
    ]
    return PlannedSweep(file, graph, missing, forecasts, jobs)


# The table ---------------------------------------------------------------------------------------


def table(graph: Graph, device: str, progress: Progress) -> SweepTable:
    """`kd compare` over the groups whose students and baselines are finished by now; each data set
    by itself.

    Raises:
        DataError: there is none yet.
    """
    things: dict[str, list[str]] = {}
    for group in graph.groups:
        images = json.dumps(group[0].spec.data.deciding, sort_keys=True)
        things.setdefault(images, []).extend(_comparable(group))
    done = _trained(graph, graph.missing)
    if not any(things.values()):
        raise DataError(
            f"{done} of {counted(len(graph.cells), 'cell')} done: nothing to compare yet",
            "without --table the same command trains them",
        )
    return SweepTable(
        cells=len(graph.cells),
        done=done,
        groups=len(graph.groups),
        tables=[
            compare(each, over_own=True, device=device, progress=progress)
            for each in things.values()
            if each
        ],
    )


def _comparable(group: Sequence[Planned]) -> list[str]:
    """Its runs: of seeds that were evaluated together the first, which has the others' answers."""
    found = []
    for part in in_a_row(group):
        specs = [one.spec for one in part]
        done = [s for s in specs if is_finished(s) and is_finished(baseline_of(s))]
        runs = [find(spec) for spec in (specs[:1] if is_evaluated(specs[0], len(part)) else done)]
        found += [str(run.path) for run in runs if run]
    return found
