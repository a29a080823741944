"""One teacher, three sizes of student, five methods: what each keeps at which size.

    python benchmarks/survey_table.py fashion_mnist [--images 5000] [--seeds 3] [--out numbers.json]

resnet18 (11.2 million parameters) teaches a student that is 56% smaller, one that is 75%, and one
that is 95% smaller, counted in parameters. The distillation score of Alkhulaifi et al. (2021) is
half the share of size plus half the share of accuracy lost: lower is better, and "better" stands
where it is below the mean of the whole table. Accuracies against the teacher, and gains over the
same student without a teacher, are in points on test.
`fashion_mnist` takes 5,000 of the training images of the Debian package dataset-fashion-mnist, at
28 x 28 pixels, and all 10,000 test images. About two and a half hours on one thread.
Resumable: finished runs in --pool are reused; several may share the work by --only and --methods.
"""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from statistics import mean

from study import TRAINING, Row, asked_study, gain, keep, measured, percent
from tables import say, show

from kdcli.core.text import signed
from kdcli.report.file import distillation_score

TEACHER = "resnet18"
STUDENTS = {
    "resnet10t": (),
    "regnety_002": ("student.stem_stride=1",),
    "mobilenetv3_small_050": ("student.stem_stride=1",),
}
"""The two narrow ones see small images as they are: at a stride of 2 too little is left of them."""
METHODS = ("kd", "at", "fitnet", "rkd", "dkd")
"""Two of answers, two of features, one of relations; at their published weights."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", choices=TRAINING)
    parser.add_argument("--only", default=",".join(STUDENTS), help="Students, by their names.")
    parser.add_argument("--methods", default=",".join(METHODS))
    asked, study = asked_study(parser, "runs/survey-table-pool")
    rows: list[Row] = []
    for student in asked.only.split(","):
        for method in asked.methods.split(","):
            job = study.job(method, student, TEACHER, *STUDENTS[student])
            rows.append(measured(study, student, method, job))
            say(asked, f"{student}, {method}: {percent(rows[-1].accuracy, rows[-1].sd)}")
            keep(rows, asked.out)
    show(asked, [asdict(row) for row in rows], table(rows))


HEAD = (
    "| student | method | parameters | MACs | test accuracy | against teacher | DS | "
    "| accuracy nearer | gain, points (95%) | verdict |",
    "|---|---|---:|---:|---:|---:|---:|---|---|---:|---|",
)


def table(rows: list[Row]) -> Iterator[str]:
    """Markdown: the teacher, then each student without it and with each method."""
    first, average = rows[0], mean(score(row) for row in rows)
    accuracy = percent(first.teacher_accuracy)
    yield f"Teacher {first.teacher}: {accuracy}%. Mean distillation score: {average:.3f}."
    yield from ("", *HEAD)
    for student in dict.fromkeys(row.student for row in rows):
        mine = [row for row in rows if row.student == student]
        alone = percent(mine[0].baseline, mine[0].baseline_sd)
        yield f"| {student} | labels alone | {sizes(mine[0])} | {alone} | | | | | | |"
        yield from (line(row, average) for row in mine)


def line(row: Row, average: float) -> str:
    """One student of one method."""
    assert row.teacher_accuracy is not None
    cells = (
        row.student,
        row.name,
        sizes(row),
        percent(row.accuracy, row.sd),
        signed(100 * (row.accuracy - row.teacher_accuracy)),
        f"{score(row):.3f}",
        "better" if score(row) < average else "worse",
        row.nearer or "",
        gain(row),
        row.verdict,
    )
    return f"| {' | '.join(cells)} |"


def score(row: Row) -> float:
    """The distillation score, 0.5 size_s / size_t + 0.5 (1 - accuracy_s / accuracy_t): by
    parameters; lower is better."""
    assert row.teacher_params
    assert row.teacher_accuracy
    found = distillation_score(row.params, row.teacher_params, row.accuracy, row.teacher_accuracy)
    assert found is not None
    return found


def sizes(row: Row) -> str:
    """Two cells: how much smaller than the teacher, in parameters and in MACs."""
    assert row.teacher_params
    macs = row.macs / row.teacher_macs - 1 if row.macs and row.teacher_macs else None
    shown = signed(macs, ".0%") if macs is not None else "-"
    return f"{signed(row.params / row.teacher_params - 1, '.0%')} | {shown}"


if __name__ == "__main__":
    main()
