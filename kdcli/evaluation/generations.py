"""A model's generations on test: each on its own, and all of them as one."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from kdcli.core.arrays import Indices
from kdcli.core.records import Panel
from kdcli.data.store import Store
from kdcli.evaluation.answers import together
from kdcli.evaluation.measure import Measured, measure, scores
from kdcli.evaluation.participants import Cast, Member
from kdcli.evaluation.teacher_ensemble import role_of_all
from kdcli.recipe.load import scheme_of
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec


def measure_between(
    students: list[Run],
    cast: Cast,
    find: Callable[[Run], Cast],
    test: Store,
    device: torch.device,
) -> dict[str, Measured]:
    """Those between teacher and student: an assistant is one for all seeds of the student, while
    each seed has generations of its own. `cast` is that of the first, `find` looks others up."""
    own = _own(students[0].spec) and cast.assistants
    casts = [cast, *(find(run) for run in students[1:])] if own else [cast]
    return {
        role: measure([one.assistants[role].file for one in casts], test, device)
        for role in cast.assistants
    }


def ensemble_of(
    spec: Spec,
    cast: Cast,
    models: Mapping[str, Measured],
    labels: Indices,
    classes: tuple[str, ...],
) -> dict[str, Measured]:
    """The role `generations`: the mean of the probabilities of a student and all its earlier
    generations, once per seed; none where it has no such.

    The born-again ensemble of Furlanello et al. (arXiv:1805.04770), here with generation 0;
    whether theirs counts it is unverified.
    """
    if not (before := earlier(spec, cast)):
        return {}
    members, student = [models[role] for role in [*before, "student"]], models["student"]
    panel = Panel.even(len(members))
    rows = [  # a teacher has one seed, whatever the others have
        together((one.logits[seed % len(one.logits)] for one in members), panel)
        for seed in range(len(student.logits))
    ]
    logits, seeds = np.stack(rows), [one.seed for one in student.part.seeds or ()]
    scored = scores(logits, labels, classes, seeds or (0,))
    return {"generations": Measured(logits, role_of_all([m.part for m in members], scored))}


def notes_on_generations(students: list[Run]) -> list[str]:
    """What further seeds of the student do not repeat."""
    if len(students) == 1 or not _own(students[0].spec):
        return []
    return [
        f"generation 0 (teacher) is one for all {len(students)} seeds: what another start of it "
        "would have changed is in no interval"
    ]


def files_of_all(run: Run, cast: Cast) -> list[Path]:
    """The model.pt of each generation, the run's own the last; empty where it has no earlier
    ones, or they are not at hand."""
    before = [member.file for member in earlier(run.spec, cast).values()]
    return [*before, run.model] if before else []


def earlier(spec: Spec, cast: Cast) -> dict[str, Member]:
    """A student's earlier generations, by role. A named teacher of another architecture is none."""
    if not (_own(spec) and cast.teachers):
        return {}
    head = cast.teachers[0]
    first = {"teacher": head} if _timm_name(head.ref.model) == _timm_name(spec.model) else {}
    return first | cast.assistants


def _own(spec: Spec) -> bool:
    return spec.role == "generation" or scheme_of(spec.recipe).has_generations


def _timm_name(model: str) -> str:
    """Without the tag of its weights."""
    return model.partition(".")[0]
