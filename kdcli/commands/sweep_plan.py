"""`kd sweep`: the cells of a file as jobs, of which an engine does what is missing."""

from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from kdcli.commands.distill import distill_job
from kdcli.core.errors import KdError, RecipeError
from kdcli.core.progress import Progress
from kdcli.jobs.graph import graph_of
from kdcli.jobs.grid import Grid, read_grid
from kdcli.jobs.node import Graph, Planned
from kdcli.plan.ask import Ask
from kdcli.plan.job import Job, Shared, open_shared
from kdcli.recipe.load import LoadedRecipe
from kdcli.runs.spec import with_seed

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
    for cell in grid.cells:
        group = replace(cell.ask, seed=None)
        try:
            if group not in jobs:
                jobs[group] = distill_job(cell.ask, progress, opened)
        except KdError as error:
            what = f"{grid.path}: {cell.words}: {error.what}"
            if isinstance(error, RecipeError):
                raise RecipeError(what.splitlines(), error.fix) from error
            raise type(error)(what, error.fix) from error
        job, seed = jobs[group], cell.ask.seed
        spec = job.spec if seed is None else with_seed(job.spec, seed)
        found.append(Planned(cell, replace(job, spec=spec)))
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
