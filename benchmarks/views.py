"""What fewer augmented views than epochs cost: 1, 4, 16, and a view for each epoch.

    python benchmarks/views.py digits | fashion_mnist [--seeds 3] [--epochs 30] [--json]

resnet18 -> mobilenetv3_small_100, recipe kd, on digits or 5,000 images of Fashion-MNIST; all seeds,
and all rows, share one teacher. The teacher's answers are stored, so that the rows differ in
nothing but how many views of each image the student sees; baselines see fresh ones. Resumable: runs
in the pool are reused.
"""

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from study import Row, Study, asked_study, gain, keep, measured, percent
from tables import show

TEACHER, STUDENT = "resnet18", "mobilenetv3_small_100"
VIEWS = (1, 4, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=("digits", "fashion_mnist"))
    asked, study = asked_study(parser, "runs/views-pool")
    rows = [row(study, views) for views in (*VIEWS, None)]
    keep(rows, asked.out)
    show(asked, [asdict(one) for one in rows], table(rows))


def table(rows: list[Row]) -> Iterator[str]:
    yield f"views   accuracy      gain over the baseline ({percent(rows[0].baseline)})    seconds"
    for one in rows:
        accuracy = percent(one.accuracy, one.sd)
        yield f"{one.name:6}  {accuracy:12}  {gain(one):32}  {one.seconds:.0f}"


def row(study: Study, views: int | None) -> Row:
    """With so many views; None: as many as epochs."""
    # more than there are epochs is as many as epochs
    stored = ("teacher.answers=stored", f"teacher.views={views or 1_000_000}")
    job = study.job("kd", STUDENT, TEACHER, *stored)
    return measured(study, study.data, str(views or "epochs"), job)


if __name__ == "__main__":
    main()
