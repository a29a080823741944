"""Online and self-distillation against a baseline and a finished teacher.

    python benchmarks/online_and_self.py digits [--seeds 3] [--epochs N] [--out numbers.json]
    python benchmarks/online_and_self.py fashion_mnist [--student NAME] [--teacher NAME]

Everybody has the same images, epochs, and order of data; a baseline has the seed of its student.
Four tables: every scheme; labels alone, soft targets alone, and both; three teachers; a teacher a
hundred times as large, at temperatures 1 and 4. Time is that of a training over the baseline's: a
finished teacher's own is left out, networks that a scheme trains itself are counted. Agreement and
KL are those with the teacher; what the baseline has, which never saw it, stands in brackets.
`fashion_mnist` takes 5,000 of the training images of the Debian package dataset-fashion-mnist and
all 10,000 test images: about an hour on one thread (estimated). Recipes that this kd does not have
are left out, with a line. Resumable: finished runs in --pool are reused, and several may share the
work by --only.
"""

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from study import TRAINING, Row, Study, asked_study, gain, keep, measured, percent
from tables import say, show

from kdcli.core.errors import UsageError
from kdcli.recipe.load import recipe_names

STUDENT, TEACHER = "test_resnet", "resnet18"
TEACHERS = ("test_resnet", "resnet18", "test_vit")
SMALL = "test_efficientnet"
"""Of which resnet18 is 110 times, in parameters: where following a teacher is said to help most
(Harutyunyan et al. 2023)."""
RECIPES = (
    *("kd", "mutual", "fusion", "together", "trajectory"),
    *("born_again", "exits", "attention_self"),
)
ALONE = ("task.weight=0", "methods.kd.weight=1")
"""Soft targets and no label; the term that is left weighs 1, as the labels do in a baseline."""


@dataclass(frozen=True)
class Arm:
    """One way of teaching a student."""

    group: str
    name: str
    recipe: str
    student: str
    teacher: str
    settings: tuple[str, ...] = ()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", choices=TRAINING)
    parser.add_argument("--student", default=STUDENT)
    parser.add_argument("--teacher", default=TEACHER)
    parser.add_argument("--only", default=";".join(GROUPS), help="Tables, by their names.")
    asked, study = asked_study(parser, "runs/online-and-self-pool")
    rows: list[Row] = []
    for group in asked.only.split(";"):
        for arm in GROUPS[group](group, asked.student, asked.teacher):
            found = taught(study, arm)
            if isinstance(found, str):
                say(asked, f"{arm.group}, {arm.name}: {found}")
            else:
                rows.append(found)
                say(asked, f"{arm.group}, {arm.name}: {percent(found.accuracy, found.sd)}")
                keep(rows, asked.out)
    show(asked, [asdict(row) for row in rows], tables(rows))


def taught(study: Study, arm: Arm) -> Row | str:
    """What the arm came to, or why this kd cannot do it."""
    if arm.recipe not in recipe_names():
        return f"no recipe {arm.recipe} yet, left out"
    try:
        job = study.job(arm.recipe, arm.student, arm.teacher, *arm.settings)
        return measured(study, arm.group, arm.name, job)
    except UsageError as error:
        return f"left out: {error.what}"


def schemes(group: str, student: str, teacher: str) -> Iterator[Arm]:
    """Every recipe as it is."""
    for recipe in RECIPES:
        yield Arm(group, recipe, recipe, student, teacher)


def targets(group: str, student: str, teacher: str) -> Iterator[Arm]:
    """What does the student need beside soft targets? The baseline has labels alone."""
    yield Arm(group, "soft targets alone", "kd", student, teacher, ALONE)
    yield Arm(group, "both", "kd", student, teacher)


def teachers(group: str, student: str, _: str) -> Iterator[Arm]:
    """One student, several that teach it."""
    for teacher in TEACHERS:
        yield Arm(group, f"kd from {teacher}", "kd", student, teacher)


def large_gap(group: str, _: str, __: str) -> Iterator[Arm]:
    """A teacher that is finished, one that is followed, at both temperatures."""
    for recipe in ("kd", "together", "trajectory"):
        for temperature in (1, 4):
            settings = (f"methods.kd.temperature={temperature}",)
            yield Arm(group, f"{recipe}, T = {temperature}", recipe, SMALL, TEACHER, settings)


GROUPS = {"schemes": schemes, "targets": targets, "teachers": teachers, "large gap": large_gap}


# What is shown -----------------------------------------------------------------------------------

HEAD = (
    "| | test accuracy | gain, points (95%) | agreement | KL | accuracy nearer | time | verdict |",
    "|---|---:|---:|---:|---:|---|---:|---|",
)


def tables(rows: list[Row]) -> Iterator[str]:
    """Markdown, one for each group; its baseline and its teachers first."""
    for group in dict.fromkeys(row.group for row in rows):
        mine = [row for row in rows if row.group == group]
        first = mine[0]
        yield from ("", f"**{group}**, student {first.student}", "", *HEAD)
        for name, accuracy in {row.teacher: row.teacher_accuracy for row in mine}.items():
            if name:
                yield f"| teacher {name} | {percent(accuracy)} | | | | | | |"
        yield f"| labels alone | {percent(first.baseline, first.baseline_sd)} | | | | | 1.0 | |"
        yield from (line(row) for row in mine)


def line(row: Row) -> str:
    """One way of teaching."""
    cells = (
        row.name,
        percent(row.accuracy, row.sd),
        gain(row),
        f"{percent(row.agreement)} ({percent(row.baseline_agreement)})" if row.teacher else "",
        f"{row.kl:.3f} ({row.baseline_kl:.3f})" if row.teacher else "",
        row.nearer or "",
        f"{row.seconds / row.baseline_seconds:.1f}",
        row.verdict,
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
