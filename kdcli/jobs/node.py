"""Jobs and who needs whom: what a graph is made of, and what engines are handed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kdcli.jobs.grid import Cell
from kdcli.plan.job import Job
from kdcli.runs.spec import Spec

WANTED = ("student", "evaluation", "export")
"""Kinds that are wanted for themselves; others are for these."""


@dataclass(frozen=True, eq=False)
class Planned:
    """A cell, and what it trains."""

    cell: Cell
    job: Job

    @property
    def spec(self) -> Spec:
        return self.job.spec

    @property
    def command(self) -> str:
        """What trains it."""
        return self.cell.ask.command("distill")


@dataclass(frozen=True, eq=False)
class Node:
    """A job: one command line, and what has to be finished before it."""

    name: str
    """One for each: of a training its digest; `answers-...`, `evaluate-...`, `export-...`."""
    kind: str
    """`teacher`, `assistant`, `generation`, `baseline`, `student`, ...; `answers`, `evaluation`,
    `export`."""
    title: str
    """For people, behind the kind."""
    command: str
    """`kd distill ...`, as a shell takes it."""
    needs: tuple[str, ...]
    """Names of others."""
    run: Path
    """The folder that it works in."""
    is_done: Callable[[], bool] = field(repr=False)
    """Whether it is finished, by what lies on the disk now."""
    spec: Spec | None = None
    """Of a training."""

    @property
    def words(self) -> str:
        """`teacher resnet101`."""
        return f"{self.kind} {self.title}"


@dataclass(frozen=True, eq=False)
class Graph:
    """All jobs, each behind those that it needs."""

    nodes: tuple[Node, ...]
    cells: tuple[Planned, ...]

    @property
    def missing(self) -> list[Node]:
        """What is not finished, and wanted: not a teacher that is gone, once its students are."""
        found: list[Node] = []
        needed: set[str] = set()
        for node in reversed(self.nodes):
            if (node.kind in WANTED or node.name in needed) and not node.is_done():
                found.append(node)
                needed |= {*node.needs}
        return found[::-1]

    @property
    def groups(self) -> list[list[Planned]]:
        """Cells that differ in their seed alone, by seed; one of several that are one training."""
        found: dict[str, dict[int, Planned]] = {}
        for one in self.cells:
            found.setdefault(one.spec.kind, {}).setdefault(one.spec.seed, one)
        return [[seeds[seed] for seed in sorted(seeds)] for seeds in found.values()]


def stages(nodes: Sequence[Node]) -> list[list[Node]]:
    """Nodes by how many of them have to be done one behind the other before: all of a stage may run
    at the same time."""
    depths: dict[str, int] = {}
    for node in nodes:
        depths[node.name] = 1 + max((depths.get(name, -1) for name in node.needs), default=-1)
    found: list[list[Node]] = [[] for _ in range(max(depths.values(), default=-1) + 1)]
    for node in nodes:
        found[depths[node.name]].append(node)
    return found
