"""What studies share: how everybody is trained, over seeds, and what came of it on test."""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from fashion_mnist import some_fashion
from numpy.typing import NDArray
from tables import add_json

from kdcli.commands.distill import distill_job
from kdcli.commands.evaluate import find_cast
from kdcli.core.files import write_text
from kdcli.core.progress import Silent
from kdcli.core.text import signed
from kdcli.data.store import plain_store
from kdcli.evaluation.measure import Measured, likeness, measure
from kdcli.evaluation.nearness import closer_in_accuracy
from kdcli.evaluation.significance import paired_gain, verdict_code
from kdcli.plan.ask import Ask
from kdcli.plan.job import Job
from kdcli.recipe.load import load_recipe, scheme_of
from kdcli.runs.baseline import baseline_of
from kdcli.runs.find import find
from kdcli.runs.spec import Spec
from kdcli.training.ensure import ensure

IMAGES = 5_000
"""Of Fashion-MNIST's 60,000: with all of them the survey's table would take 30 hours."""
TRAINING = {
    "digits": (),
    "fashion_mnist": ("train.epochs=15", "train.batch_size=64"),
}
"""Of teachers and students alike, where it is not kd's default for the data."""
Right = NDArray[np.bool_]
Labels = NDArray[np.int64]
NEARER = {"ensemble": "teacher", "single": "baseline", "undecided": "undecided"}
"""What `closer_in_accuracy`, made for an ensemble and its best member, is asked about here."""


@dataclass(frozen=True)
class Study:
    """Which images, how everybody is trained on them, and with how many seeds."""

    data: str
    seeds: int
    pool: Path
    images: int = IMAGES
    epochs: int | None = None
    """None: as `TRAINING` says."""

    @property
    def settings(self) -> tuple[str, ...]:
        """Of everybody's training."""
        own = (f"train.epochs={self.epochs}",) if self.epochs else ()
        return (*TRAINING[self.data], *own)

    def job(self, recipe: str, student: str, teacher: str, *settings: str) -> Job:
        """One student's training; a scheme that needs no teacher is given none."""
        alone = scheme_of(load_recipe(recipe).recipe).teaches_itself
        place = None if self.data == "digits" else str(some_fashion(self.pool, self.images))
        return distill_job(
            Ask(
                recipe,
                teachers=() if alone else (teacher,),
                student=student,
                settings=(*self.settings, *(() if alone else (self._teachers(),)), *settings),
                data=place,
                device="cpu",
            ),
            Silent(),
        )

    def _teachers(self) -> str:
        """They are trained as the students are, from labels."""
        return f"teacher.recipe={label_recipe(self.pool, self.data, self.settings)}"


@dataclass(frozen=True)
class Row:
    """What a way of teaching came to: means over seeds, against baseline and teacher on test."""

    group: str
    name: str
    student: str
    accuracy: float
    sd: float | None
    """None: one seed."""
    baseline: float
    baseline_sd: float | None
    gain: float
    gain_low: float
    gain_high: float
    verdict: str
    seconds: float
    """Of one training: the student's, with all that its scheme trains itself."""
    baseline_seconds: float
    params: int
    macs: int | None
    teacher: str | None = None
    teacher_accuracy: float | None = None
    teacher_params: int | None = None
    teacher_macs: int | None = None
    agreement: float | None = None
    """With the teacher."""
    baseline_agreement: float | None = None
    kl: float | None = None
    baseline_kl: float | None = None
    nearer: str | None = None
    """Whose accuracy is nearer: teacher | baseline | undecided."""


def label_recipe(pool: Path, data: str, settings: Sequence[str]) -> Path:
    """A recipe file: from labels alone, with these settings of `train`."""
    pool.mkdir(parents=True, exist_ok=True)
    train = dict(line.removeprefix("train.").split("=") for line in settings)
    inside = ", ".join(f"{key}: {value}" for key, value in train.items())
    # named by its epochs: trainings of several lengths may share a pool
    name = "_".join(("members_on", data, *(f"{v}" for k, v in train.items() if k == "epochs")))
    write_text(pool / f"{name}.yaml", f"scheme: alone\ntrain: {{{inside}}}\n")
    return pool / f"{name}.yaml"


def measured(study: Study, group: str, name: str, job: Job) -> Row:
    """Train what is missing, every seed and its baseline, then ask all of them about test."""
    specs = job.spec.alike(study.seeds)
    student, baseline = _asked(job, specs), _asked(job, [baseline_of(spec) for spec in specs])
    labels = plain_store(job.source.test, job.spec.recipe, Silent()).labels
    right, alone = student.right(labels), baseline.right(labels)
    found = paired_gain(right, alone)
    row = Row(
        group=group,
        name=name,
        student=student.part.name,
        **_of_accuracy("accuracy", "sd", right),
        **_of_accuracy("baseline", "baseline_sd", alone),
        gain=found.gain,
        gain_low=found.ci95.low,
        gain_high=found.ci95.high,
        verdict=verdict_code(found, job.spec.recipe.evaluate.margin),
        seconds=mean(_seconds(spec) for spec in specs),
        baseline_seconds=mean(_seconds(baseline_of(spec)) for spec in specs),
        params=student.part.params,
        macs=student.part.macs,
    )
    return replace(row, **_beside_teacher(job, specs, student, baseline, labels))


def _beside_teacher(
    job: Job, specs: Sequence[Spec], student: Measured, baseline: Measured, labels: Labels
) -> dict[str, Any]:
    """The fields that compare with a teacher, where there is one that is not the student's kind.

    One that learns in the same loop is another one for each seed.
    """
    if scheme_of(job.spec.recipe).teaches_itself:
        return {}
    runs = [ensure(spec, job.site(Silent())).run for spec in specs]
    casts = [find_cast(run, job.site(Silent())) for run in runs]
    test = plain_store(job.source.test, job.spec.recipe, Silent())
    teacher = measure([cast.teachers[0].file for cast in casts], test, job.device)
    # decided against one teacher alone, which has to be the same for every seed
    right, nearer = teacher.right(labels), "undecided"
    if all((row == right[0]).all() for row in right):
        nearer = closer_in_accuracy(student.right(labels), right[0], baseline.right(labels))
    agreement, kl = _likeness(student, teacher)
    alike, apart = _likeness(baseline, teacher)
    return {
        "teacher": teacher.part.name,
        "teacher_accuracy": float(right.mean()),
        "teacher_params": teacher.part.params,
        "teacher_macs": teacher.part.macs,
        **{"agreement": agreement, "kl": kl, "nearer": NEARER[nearer]},
        **{"baseline_agreement": alike, "baseline_kl": apart},
    }


def _likeness(role: Measured, teacher: Measured) -> tuple[float, float]:
    """Of each seed with its own teacher, the mean: agreement in [0, 1], KL in nats."""
    pairs = zip(role.logits, teacher.logits, strict=True)
    each = [likeness(mine[None], theirs) for mine, theirs in pairs]
    return mean(one for one, _ in each), mean(one for _, one in each)


def _asked(job: Job, specs: Sequence[Spec]) -> Measured:
    runs = [ensure(spec, job.site(Silent()), asked=True).run for spec in specs]
    test = plain_store(job.source.test, job.spec.recipe, Silent())
    return measure([run.model for run in runs], test, job.device)


def _of_accuracy(name: str, spread: str, right: Right) -> dict[str, Any]:
    """Mean and deviation over seeds, as fields of a row."""
    each = right.mean(1)
    return {name: float(each.mean()), spread: float(each.std(ddof=1)) if len(each) > 1 else None}


def _seconds(spec: Spec) -> float:
    """Of a finished training, with all generations in front of it, which its scheme trains itself;
    a teacher that was there is nobody's cost."""
    run = find(spec)
    own = float(run.outcome()["seconds"]) if run else 0.0
    generations = scheme_of(spec.recipe).has_generations or spec.role == "generation"
    before = (member.spec for member in spec.members if member.spec) if generations else ()
    return own + sum(map(_seconds, before))


# What is asked and shown -------------------------------------------------------------------------


def asked_study(parser: argparse.ArgumentParser, pool: str) -> tuple[argparse.Namespace, Study]:
    """The flags that all studies have; KD_RUNS becomes the pool."""
    parser.add_argument("--pool", type=Path, default=Path(pool), help="Where runs are kept.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--images", type=int, default=IMAGES, help="Of Fashion-MNIST.")
    parser.add_argument("--out", type=Path, help="A JSON file of all numbers.")
    add_json(parser)
    asked = parser.parse_args()
    os.environ["KD_RUNS"] = str(asked.pool)
    return asked, Study(asked.data, asked.seeds, asked.pool, asked.images, asked.epochs)


def keep(rows: Sequence[Row], out: Path | None) -> None:
    """All numbers as JSON, where that is wanted."""
    if out:
        write_text(out, json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def percent(accuracy: float | None, sd: float | None = None) -> str:
    """`86.8 ± 0.1`."""
    if accuracy is None:
        return "-"
    return f"{100 * accuracy:.1f}" + (f" ± {100 * sd:.1f}" if sd is not None else "")


def gain(row: Row) -> str:
    """In points, with its 95% interval."""
    low, high = 100 * row.gain_low, 100 * row.gain_high
    return f"{signed(100 * row.gain)} ({signed(low)} to {signed(high)})"
