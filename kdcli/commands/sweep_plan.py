"""The cells of a sweep as jobs, and what they take: before anything is trained."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from kdcli.commands.distill import distill_job
from kdcli.commands.documents.swept import JobPart, SweepPlan
from kdcli.core.errors import KdError, RecipeError
from kdcli.core.progress import Progress
from kdcli.core.text import counted, duration, some
from kdcli.jobs.graph import graph_of
from kdcli.jobs.grid import Cell, Grid, read_grid
from kdcli.jobs.node import Graph, Node, Planned, stages
from kdcli.plan.ask import Ask
from kdcli.plan.forecast import foresee_all
from kdcli.plan.foreseen import Forecast
from kdcli.plan.job import Job, Shared, open_shared
from kdcli.recipe.load import LoadedRecipe
from kdcli.runs.spec import Spec, with_seed

T = TypeVar("T")


def plan_sweep(path: Path, device: str, progress: Progress) -> Graph:
    """All jobs of a file; nothing is trained.

    Raises:
        RecipeError: a file that says what no command line could.
        KdError: what `kd distill` refuses, with the cell.
    """
    grid = read_grid(path, device)
    return graph_of(_planned(grid, _Told(progress)), grid.export)


def _planned(grid: Grid, progress: Progress) -> list[Planned]:
    """Cells that differ in their seed alone are planned once, data are opened once for all."""
    opened, jobs, found = _Opened(), dict[Ask, Job](), list[Planned]()
    refused: dict[str, tuple[Cell, KdError]] = {}
    for cell in grid.cells:
        group = replace(cell.ask, seed=None)
        if group not in jobs:
            try:
                jobs[group] = distill_job(cell.ask, progress, opened)
            except KdError as error:
                refused.setdefault(error.what, (cell, error))
    if refused:
        raise _all_of(grid.path, [*refused.values()])
    for cell in grid.cells:
        job, seed = jobs[replace(cell.ask, seed=None)], cell.ask.seed
        spec = job.spec if seed is None else with_seed(job.spec, seed)
        found.append(Planned(cell, replace(job, spec=spec)))
    return found


def _all_of(path: Path, refused: Sequence[tuple[Cell, KdError]]) -> KdError:
    """Each mistake once, with the first cell that has it, and the first one's way out."""
    lines = [line for cell, error in refused for line in f"{cell.words}: {error.what}".splitlines()]
    first = refused[0][1]
    found = RecipeError((f"{path}: {line}" for line in lines), first.fix)
    found.code = first.code
    return found


@dataclass
class _Opened:
    """Opens the data of many cells once."""

    known: dict[tuple[object, ...], Shared] = field(default_factory=dict)

    def __call__(
        self, loaded: LoadedRecipe, data: str | None, device: str, progress: Progress
    ) -> Shared:
        key = (data, device, loaded.recipe.train.balance, loaded.recipe.data.unlabelled)
        if key not in self.known:
            self.known[key] = open_shared(loaded, data, device, progress)
        return replace(self.known[key], loaded=loaded, progress=progress)


@dataclass
class _Told:
    """Tells each thing once: most of it is the same for every cell."""

    progress: Progress
    told: set[str] = field(default_factory=set)

    def say(self, text: str) -> None:
        self._once(self.progress.say, text)

    def warn(self, text: str) -> None:
        self._once(self.progress.warn, text)

    def note(self, text: str) -> None:
        self._once(self.progress.note, text)

    def _once(self, tell: Callable[[str], None], text: str) -> None:
        if text not in self.told:
            self.told.add(text)
            tell(text)

    def track(self, items: Iterable[T], total: int, label: str) -> Generator[T]:
        return self.progress.track(items, total, label)

    def log(self, path: Path) -> AbstractContextManager[Callable[[str], None]]:
        return self.progress.log(path)


# What it takes -----------------------------------------------------------------------------------


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
                f"{side * (self.jobs > 1)}; evaluations, exports and "
                f"{counted(len(self.missing), 'start')} of kd come on top"
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
            done=trained(self.graph, self.missing),
            trainings=dict(Counter(node.spec.role for node in self.missing if node.spec)),
            jobs=jobs,
            plans=[],
        )
        return plan.model_dump(mode="json") | {"plans": [one.as_dict() for one in self.forecasts]}


def foresee(file: Path, graph: Graph, jobs: int, progress: Progress) -> PlannedSweep:
    """The graph, and a few real steps of each kind of training that is missing."""
    missing = graph.missing
    todo = {node.name: node.spec for node in missing if node.spec}
    by_data: dict[int, tuple[Planned, dict[str, Spec]]] = {}
    for one in graph.cells:
        _, specs = by_data.setdefault(id(one.job.source), (one, {}))
        needed = {name for node in own_jobs(one, graph) for name in (node.name, *node.needs)}
        specs |= {name: spec for name, spec in todo.items() if name in needed}
    forecasts = [
        foresee_all(list(specs.values()), one.job.source, one.job.device, progress)
        for one, specs in by_data.values()
        if specs
    ]
    return PlannedSweep(file, graph, missing, forecasts, jobs)


def words_of(graph: Graph, missing: Sequence[Node]) -> str:
    """`12 cells, 3 done; to do: 1 teacher, 9 students, 4 baselines, 3 evaluations`."""
    kinds = Counter(node.kind for node in missing)
    stores = f"{kinds.pop('answers')} x answers" if "answers" in kinds else ""
    todo = ", ".join([counted(n, kind) for kind, n in kinds.items()] + [stores] * bool(stores))
    cells, done = counted(len(graph.cells), "cell"), trained(graph, missing)
    return f"{cells}, {done} done; to do: {todo or 'nothing'}"


def trained(graph: Graph, missing: Sequence[Node]) -> int:
    """How many cells have their student."""
    names = {node.name for node in missing}
    return sum(one.spec.digest not in names for one in graph.cells)


def own_jobs(one: Planned, graph: Graph) -> list[Node]:
    """Its student, and what is made of it."""
    names = {one.spec.digest}
    found = []
    for node in graph.nodes:
        if node.name in names or (node.kind in ("evaluation", "export") and names & {*node.needs}):
            names.add(node.name)
            found.append(node)
    return found
