"""Which method goes with which scheme: found out by joining each of both with tiny models.

No data and no trained weights are needed: what is refused, and why, depends on neither.
"""

from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F

from kdcli.core import registry
from kdcli.core.errors import UnmetNeeds, UsageError
from kdcli.core.functional import as_one
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs, Teacher
from kdcli.core.scheme import Scheme
from kdcli.models.build import build, plan, seeded
from kdcli.models.tap import Tap
from kdcli.models.teachers import Frozen, Recorded
from kdcli.training.distiller import Distiller, Term

STUDENT, TEACHERS = "test_resnet", ("test_resnet", "test_byobnet")
"""Their stages end as every method wants them to."""
WITH_SECOND_HEAD = "deit_tiny_distilled_patch16_224"
"""The student of methods that teach a second head, and how it is made small."""
NARROW = {"depth": 2, "embed_dim": 48, "num_heads": 3}
CLASSES, IMAGES, SIZE = 4, 8, 64
"""More than two classes, as dkd needs; several images, for relations; 64 pixels, of which the last
stage has 2 x 2 cells left, for methods that compare places."""


@dataclass(frozen=True)
class Cell:
    """A method in a scheme: whether the two train together, else what a person would be told."""

    scheme: str
    method: str
    trains: bool
    why: str = ""
    """What is said before the first step, where it does not."""
    fix: str = ""
    """And the way out."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A scheme and a method, with models of their own that learn and teach."""

    scheme: Scheme
    method: Method
    learners: Mapping[str, Tap]
    teachers: Mapping[str, Teacher]

    def joined(self) -> Distiller:
        """All of them in one, ready for a step.

        Raises:
            UsageError: the method and the scheme do not go together; says why.
        """
        name = type(self.method).__module__.rpartition(".")[2]
        term = Term(name, self.method, lambda epoch: 1.0)
        about = About(CLASSES, IMAGES, 1, smallest_batch=IMAGES, labels=example().labels)
        with seeded(0, "distiller"):
            return Distiller(
                self.scheme,
                self.learners,
                self.teachers,
                (term,),
                lambda epoch: 1.0,
                example(),
                about,
            )


@cache
def grid() -> tuple[Cell, ...]:
    """Every scheme with every method, those of plug-ins too; what docs/methods.md shows, and the
    tests take a step in."""
    return tuple(
        _cell(scheme, method)
        for scheme in registry.names("schemes")
        for method in registry.names("methods")
    )


def trial(scheme: str, method: str) -> Trial:
    """Both with the options that they have by default; nobody else holds its models."""
    chosen: Method = registry.load("methods", method)()
    learners, teachers = deepcopy(_cast(scheme, "heads" in chosen.student_needs))
    return Trial(registry.load("schemes", scheme)(), chosen, learners, teachers)


@cache
def example() -> Batch:
    """Images of noise, each class as often as any other."""
    labels, index = torch.arange(IMAGES) % CLASSES, torch.arange(IMAGES)
    return Batch(
        images=torch.rand(IMAGES, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)),
        labels=labels,
        targets=F.one_hot(labels, CLASSES).float(),
        index=index,
        view=torch.zeros_like(index),
    )


def _cell(scheme: str, method: str) -> Cell:
    try:
        trial(scheme, method).joined()
    except UsageError as error:
        return Cell(scheme, method, trains=False, why=error.what, fix=error.fix)
    return Cell(scheme, method, trains=True)


@cache
def _cast(scheme: str, second_head: bool) -> tuple[dict[str, Tap], dict[str, Teacher]]:
    """Who learns and who teaches; built once, to be copied: building takes longer than all else."""
    chosen: Scheme = registry.load("schemes", scheme)()
    names = _teachers_for(chosen)
    teachers = [Frozen(_tap(name, f"teacher.{i}")) for i, name in enumerate(names)]
    model, options = (WITH_SECOND_HEAD, NARROW) if second_head else (STUDENT, {})
    learners = {"student": _tap(model, "student", options, **chosen.student_args(len(names)))}
    peers = getattr(chosen, "peers", 1) - 1 if chosen.has_peers else 0
    learners |= {f"peer.{i}": _tap(model, f"peer.{i}", options) for i in range(1, peers + 1)}
    if chosen.labelled_by_teachers:
        answers = torch.stack([teacher(example()).logits for teacher in teachers], 1)
        together = as_one(answers, chosen.panel(len(names)))
        return learners, {"teachers": Recorded(Outputs("teachers", together))}
    return learners, {teacher.tap.by: teacher for teacher in teachers}


def _teachers_for(scheme: Scheme) -> tuple[str, ...]:
    """As many as it takes: its own `panel` objects to several, where it has one alone."""
    if not scheme.needs_teacher:
        return ()
    try:
        scheme.panel(len(TEACHERS))
    except UnmetNeeds:
        return TEACHERS[:1]
    return TEACHERS


def _tap(model: str, by: str, options: Mapping[str, int] | None = None, **fields: Any) -> Tap:
    args = replace(plan(model, CLASSES, SIZE, None, options), **fields)
    with seeded(0, by):
        tap = Tap(build(args), args, by)
    with suppress(UnmetNeeds):
        _ = tap.stages  # probed here, copies need not do it again
    return tap
