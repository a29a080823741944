"""From the cells of a sweep to jobs: each training once, by its digest, behind what it needs."""

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from kdcli.core.errors import DamagedFile
from kdcli.core.files import sha256
from kdcli.core.progress import Silent
from kdcli.data.subset import training_split
from kdcli.evaluation.predictions import NAME
from kdcli.jobs.node import Graph, Node, Planned
from kdcli.plan.parts import above
from kdcli.recipe.load import scheme_of
from kdcli.report.file import read_report
from kdcli.runs.baseline import controls_of
from kdcli.runs.find import find
from kdcli.runs.layout import EXPORTS
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec
from kdcli.training.answers.decide import Way, decide, finished_teachers
from kdcli.training.answers.key import key_of
from kdcli.training.ensure import run_of


def graph_of(cells: Sequence[Planned], export: bool = False) -> Graph:
    """Teachers first, each once; what they answer, where storing it pays; what students are
    compared with, and students; evaluations of all seeds of a group; exports.

    Raises:
        UsageError: the folder of a run holds something else.
    """
    graph = Graph((), tuple(cells))
    students: dict[str, Planned] = {}
    for one in cells:
        students.setdefault(one.spec.digest, one)
    stored = dict(_stored([one for one in students.values() if not _is_trained(one.spec)]))
    controls = [(s, one) for one in cells for s in controls_of(one.spec).values()]
    parts = [(part[0], len(part)) for group in graph.groups for part in in_a_row(group)]
    nodes: Iterable[Node] = (
        *(_training(spec, one) for one in cells for spec in above(one.spec).values()),
        *stored.values(),
        *(_training(spec, one) for spec, one in controls),  # so a student is told of its lead
        *(_student(one, stored.get(digest)) for digest, one in students.items()),
        *(_evaluation(first, seeds) for first, seeds in parts),
        *(_export(group[0]) for group in graph.groups if export),
    )
    found: dict[str, Node] = {}
    for node in nodes:
        found.setdefault(node.name, node)
    return replace(graph, nodes=tuple(found.values()))


def _is_trained(spec: Spec) -> bool:
    return run_of(spec).finished


def _needs(spec: Spec) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.digest for one in spec.before))


def _training(spec: Spec, one: Planned) -> Node:
    """Of a teacher or a baseline, by the command of the first student that wants it."""
    digest, number = spec.digest, spec.title.removeprefix(spec.role).strip()
    seed = f"seed={spec.seed}" if spec.seed else ""
    return Node(
        name=digest,
        kind=spec.role,
        title=" ".join(filter(None, (number, spec.model, "on", spec.data.name, seed))),
        command=f"{one.command} --only {digest}",
        needs=_needs(spec),
        run=run_of(spec).path,
        is_done=lambda: _is_trained(spec),
        spec=spec,
    )


def _student(one: Planned, answers: Node | None) -> Node:
    spec = one.spec
    further = (answers.name,) if answers else ()
    return Node(
        name=spec.digest,
        kind="student",
        title=one.cell.words,
        command=one.command,
        needs=(*_needs(spec), *further),
        run=run_of(spec).path,
        is_done=lambda: _is_trained(spec),
        spec=spec,
    )


# Stored answers ----------------------------------------------------------------------------------


def _stored(students: Sequence[Planned]) -> Iterator[tuple[str, Node]]:
    """By the digest of each student that would look them up: what is asked for all of them."""
    groups: dict[str, list[Planned]] = {}
    for one in students:
        if one.spec.teachers and not one.spec.alongside:
            groups.setdefault(_asked(one), []).append(one)
    for group in groups.values():
        kinds = {one.spec.kind: one for one in group}.values()  # seeds are asked alike
        ways = ((one, _way(one, len(group))) for one in kinds)
        most, way = max(ways, key=lambda pair: pair[1].wanted)
        if way.stored and way.missing and len(group) > 1:
            node = _answers(most)
            yield from ((one.spec.digest, node) for one in group)


def _asked(one: Planned) -> str:
    """The same for students whose teachers are asked the same."""
    spec, site = one.spec, one.job.site(Silent())
    about = key_of(spec, site, training_split(spec, site.source))
    return json.dumps([[ref.identity for ref in spec.teachers], about], default=str)


def _way(one: Planned, students: int) -> Way:
    """How its teachers would be asked, were it one of so many seeds."""
    if scheme_of(one.spec.recipe).labelled_by_teachers:
        return Way()  # whoever is first stores them, and the others wait
    return decide(one.spec, replace(one.job.site(Silent()), students=students))


def _answers(one: Planned) -> Node:
    spec, site = one.spec, one.job.site(Silent())

    def is_done() -> bool:
        files = finished_teachers(spec)
        return all(files) and not decide(spec, site, files, begun=True).missing

    teachers = ", ".join(ref.words for ref in spec.teachers)
    return Node(
        name=f"answers-{spec.digest}",
        kind="answers",
        title=f"of {teachers}",
        command=f"{one.command} --only answers",
        needs=_needs(spec),
        run=run_of(spec).path,
        is_done=is_done,
    )


# Evaluations -------------------------------------------------------------------------------------


def in_a_row(group: Sequence[Planned]) -> Iterator[list[Planned]]:
    """Seeds that follow each other, as kd evaluate --seeds takes them."""
    part: list[Planned] = []
    for one in group:
        if part and one.spec.seed != part[-1].spec.seed + 1:
            yield part
            part = []
        part.append(one)
    yield part


def _evaluation(one: Planned, seeds: int) -> Node:
    spec, device = one.spec, one.cell.ask.device
    everyone = spec.alike(seeds)
    controls = [control for each in everyone for control in controls_of(each).values()]
    path = run_of(spec).path
    words = ["kd", "evaluate", str(path)]
    words += ["--seeds", str(seeds)] if seeds > 1 else []
    words += ["--device", device] if device != "auto" else []
    return Node(
        name=f"evaluate-{spec.digest}",
        kind="evaluation",
        title=one.cell.words_of(seeds),
        command=shlex.join(words),
        needs=tuple(dict.fromkeys(each.digest for each in (*everyone, *controls))),
        run=path,
        is_done=lambda: is_evaluated(spec, seeds),
    )


def is_evaluated(spec: Spec, seeds: int) -> bool:
    """Whether so many seeds, from this one on, were compared with their baselines."""
    run = find(spec)
    if run is None or not run.finished or not (run.path / NAME).is_file():
        return False
    with suppress(DamagedFile, OSError):  # whoever does it anew tells what is wrong
        report = read_report(run.path / "report.json", sha256(run.model))
        return bool(report and report.comparison and report.comparison.seeds >= seeds)
    return False


def _export(one: Planned) -> Node:
    path = run_of(one.spec).path
    return Node(
        name=f"export-{one.spec.digest}",
        kind="export",
        title=one.cell.words,
        command=shlex.join(["kd", "export", str(path)]),
        needs=(f"evaluate-{one.spec.digest}",),  # both write into one report
        run=path,
        is_done=lambda: EXPORTS in Run(path).exported(),
    )
