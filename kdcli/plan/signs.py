"""The signs of a prognosis: from runs that are finished, or from short trainings."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcli.core.progress import Progress, Silent
from kdcli.core.text import duration
from kdcli.data.store import plain_store
from kdcli.data.subset import training_split
from kdcli.data.unlabelled import known_of
from kdcli.evaluation.measure import measure
from kdcli.evaluation.metrics import converged
from kdcli.models.loading import answers
from kdcli.plan.job import Job
from kdcli.plan.prognosis import Prognosis, Signs, prognosis
from kdcli.plan.trials import Trial, try_alone
from kdcli.recipe.load import scheme_of
from kdcli.runs.baseline import baseline_of
from kdcli.runs.find import find
from kdcli.runs.spec import Spec
from kdcli.training.answers.decide import finished_teachers

SECONDS, OVERHEAD = 240, 60
"""Of all short trainings together, and of what building and opening takes beside them."""


@dataclass(frozen=True)
class Foretold:
    """A prognosis, and what it was made from."""

    prognosis: Prognosis
    trials: tuple[Trial, ...]
    """The student's, then the teachers'; empty: nothing was measured for it."""
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """In words."""
        signs = self.prognosis.signs
        further = f", {signs.further:,} images without labels" if signs.further else ""
        labels = f"{signs.labels_per_class:.3g} labels a class{further}"
        known = {"teacher": signs.teacher, "labels alone": signs.alone}
        reach = [f"{who} {100 * share:.1f}%" for who, share in known.items() if share is not None]
        took = [f"from short trainings, {duration(self.seconds)}"] if self.trials else []
        return [
            *(trial.words for trial in self.trials),
            f"prognosis ({'; '.join([labels, *reach, *took])}): {self.prognosis.words}",
        ]

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return self.prognosis.as_dict() | {"trials": [vars(trial) for trial in self.trials]}


def can_be_foretold(spec: Spec) -> bool:
    """Whether somebody teaches who knew it all beforehand."""
    return bool(spec.teachers and not spec.alongside and not scheme_of(spec.recipe).has_generations)


def from_what_is_there(job: Job) -> Foretold:
    """By what finished teachers and a finished baseline reach on validation; nothing is trained."""
    done = [file for file in finished_teachers(job.spec) if file]
    run = find(baseline_of(job.spec))
    alone = run.outcome()["val_accuracy"] if run and run.finished else None
    return Foretold(prognosis(_signs(job, _best(job, done) if alone else None, alone)), ())


def from_trials(job: Job, progress: Progress) -> Foretold:
    """By short trainings of whoever is not finished: the student's baseline, and its teachers on
    their labels. In about `SECONDS`."""
    start, spec = time.monotonic(), job.spec
    done = [file for file in finished_teachers(spec) if file]
    untrained = _untrained(spec)
    progress.say(f"short trainings for a prognosis: at most {duration(SECONDS + OVERHEAD)}")
    share = SECONDS / (1 + 2 * len(untrained))  # a large teacher's steps take longer
    alone = baseline_of(spec)
    trials = [try_alone(alone, job, share)]
    progress.say(trials[0].words)
    for one in untrained:
        trials.append(try_alone(one, job, 2 * share))
        progress.say(f"teacher {trials[-1].words}")
    known = (_best(job, done), *(trial.expected for trial in trials[1:]))
    best = max((one for one in known if one is not None), default=None)
    found = prognosis(_signs(job, best, trials[0].expected))
    return Foretold(found, tuple(trials), time.monotonic() - start)


def _untrained(spec: Spec) -> list[Spec]:
    """Teachers that would have to be trained, each model once; one that has teachers itself as if
    it had none."""
    found = {
        ref.model: baseline_of(ref.spec) if ref.spec.teachers else ref.spec
        for ref, file in zip(spec.members, finished_teachers(spec), strict=True)
        if ref.spec and not file
    }
    return list(found.values())


def _best(job: Job, files: list[Path]) -> float | None:
    """Accuracy of the best of these on validation; None: none of them has the data's classes."""
    if not (files := [file for file in files if answers(file, job.source.classes)]):
        return None
    store = plain_store(job.source.validation, job.spec.recipe, Silent())
    return float(measure(files, store, job.device).right(store.labels).mean(1).max())


def _converged(spec: Spec) -> bool:
    """A finished baseline had; True where there is none."""
    run = find(baseline_of(spec))
    lines = run.lines() if run else []
    rates = [line["train_accuracy"] for line in lines if "train_accuracy" in line]
    return converged(rates) if rates else True


def _signs(job: Job, teacher: float | None, alone: float | None) -> Signs:
    labels = training_split(job.spec, job.source).labels
    known, classes = known_of(labels), job.source.classes
    done = [file for file in finished_teachers(job.spec) if file]
    return Signs(
        teacher=teacher,
        alone=alone,
        labels_per_class=known / len(classes),
        further=len(labels) - known,
        labelled=known,
        validation_images=len(job.source.validation),
        test_images=len(job.source.test),
        converged=_converged(job.spec),
        other_classes=bool(done) and not any(answers(file, classes) for file in done),
    )
