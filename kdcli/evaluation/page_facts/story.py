"""What was run, as run.yaml and run.log tell: recipe, versions, machine, seeds, commands."""

import re
from collections.abc import Iterator
from typing import Any

from kdcli.core.text import counted_names, cut, visible
from kdcli.evaluation.learning import epochs_of
from kdcli.recipe.edit import dump
from kdcli.recipe.safe_yaml import to_yaml
from kdcli.report.page.facts import Curve, Shares, Story
from kdcli.report.schema import Report
from kdcli.runs.baseline import baseline_of
from kdcli.runs.find import find
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec

COMMANDS, LONG = 12, 600
"""Commands that are shown at most, and bytes of each."""
EPOCHS = 200
"""Points of a curve; of longer trainings every second, third, ... epoch is drawn, and the last."""
SEEDS = 10
"""Whose curves are drawn."""
_COMMAND = re.compile(r"^=== \S+ \S+  (kd .*)$((?:\n(?!=== ).*)*)", re.MULTILINE)
"""And all that is told of it."""
_FAILED = re.compile(r"^\S+ \S+  failed after ", re.MULTILINE)
_MACHINE = re.compile(r"^on (.+)$", re.MULTILINE)


def story(run: Run, report: Report) -> Story:
    """As run.yaml and run.log have it."""
    file, spec = run.file(), run.spec
    log = run.log.read_text("utf-8", "replace") if run.log.is_file() else ""
    machine = _MACHINE.search(log)
    part = report.models.get("student")
    seeds = [one.seed for one in (part.seeds if part else None) or ()]
    return Story(
        recipe_name=spec.recipe_name,
        recipe=to_yaml(dump(spec.recipe)),
        who=tuple(_who(spec)),
        data=f"{spec.data.name} ({spec.data.location})" if spec.data.location else spec.data.name,
        seeds=tuple(seeds or [spec.seed]),
        started=file.started,
        threads=file.threads,
        versions=file.versions,
        machine=machine[1] if machine else None,
        commands=_commands(log),
    )


def _commands(log: str) -> tuple[str, ...]:
    """Those that did not fail, each once."""
    told = [line for line, story in _COMMAND.findall(log) if not _FAILED.search(story)]
    return tuple(dict.fromkeys(cut(visible(one), LONG) for one in told))[:COMMANDS]


def _who(spec: Spec) -> Iterator[tuple[str, str]]:
    yield spec.title, spec.model
    if spec.teachers:
        yield "taught by", counted_names(teacher.words for teacher in spec.teachers)
    if spec.peers:
        yield "beside", counted_names(spec.peers)


# Curves ------------------------------------------------------------------------------------------


def curves(run: Run, report: Report) -> tuple[Curve, ...]:
    """Of the student and its baseline, all seeds; this run's own first. Empty where no log is at
    hand."""
    count = min(report.comparison.seeds if report.comparison else 1, SEEDS)
    _, *further = run.spec.alike(count)
    students = [run, *filter(None, map(find, further))]
    baselines = [find(baseline_of(one.spec)) for one in students] if run.spec.is_taught else []
    found = [("student", one) for one in students]
    found += [("baseline", one) for one in baselines if one and one.finished]
    return tuple(known for role, one in found if (known := curve(role, one)))


def curve(role: str, run: Run) -> Curve | None:
    """Of one training; None without a log."""
    lines = _thinned(epochs_of(run))
    if not lines:
        return None
    return Curve(
        role,
        run.spec.seed,
        tuple(line["epoch"] for line in lines),
        tuple(line["train_accuracy"] for line in lines),
        tuple(line["val_accuracy"] for line in lines),
    )


def shares(run: Run) -> Shares | None:
    """None where nothing was shared."""
    lines = _thinned([line for line in epochs_of(run) if line.get("share_of_gradient")])
    terms = dict.fromkeys(term for line in lines for term in line["share_of_gradient"])
    if len(terms) < 2:
        return None
    return Shares(
        tuple(line["epoch"] for line in lines),
        {term: tuple(line["share_of_gradient"].get(term, 0.0) for line in lines) for term in terms},
    )


def _thinned(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    step = -(-len(lines) // EPOCHS)
    return [line for i, line in enumerate(lines) if i % step == 0 or i == len(lines) - 1]
