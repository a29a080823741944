"""What makes kd's own teachers better, and what it costs: longer, augmented, averaged.

    python benchmarks/teachers.py digits [--teacher resnet18] [--seeds 3] [--only mixup]
    python benchmarks/teachers.py fashion_mnist        (5,000 of its training images)

Each is a `kd train` by the recipe that trains a teacher (supervised), with one thing changed; the
accuracy is that of the test images, the minutes are those of the training, the gain per minute is
against the default. Resumable: runs in --pool are reused.
"""

import argparse
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from fashion_mnist import fashion_folder
from tables import add_json, say, show

from kdcli.commands.train import train_job
from kdcli.core.progress import Silent
from kdcli.core.text import signed
from kdcli.data.store import plain_store
from kdcli.evaluation.measure import measure
from kdcli.plan.ask import Ask
from kdcli.training.ensure import ensure

CHANGES = {
    "default": (),
    "2x as long": 2,
    "4x as long": 4,
    "mixup 0.2": ("train.mixup=0.2",),
    "average 0.99": ("train.ema=0.99",),
    "4x as long, mixup 0.2": (4, "train.mixup=0.2"),
    "4x as long, average 0.99": (4, "train.ema=0.99"),
}
"""A number is a factor of the epochs."""
IMAGES = 5_000


@dataclass(frozen=True)
class Row:
    """A way of training a teacher; means over seeds."""

    change: str
    accuracy: float
    sd: float
    minutes: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", choices=("digits", "fashion_mnist"))
    parser.add_argument("--teacher", default="resnet18")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="Changes that have this word.")
    parser.add_argument("--pool", type=Path, default=Path("runs/teachers-pool"))
    add_json(parser)
    asked = parser.parse_args()
    os.environ["KD_RUNS"] = str(asked.pool)
    rows = []
    for change, settings in CHANGES.items():
        if change == "default" or asked.only in change:
            rows.append(measured(asked, change, settings))
            say(asked, line(rows[-1], rows[0]))
    show(asked, [asdict(row) for row in rows], (line(row, rows[0]) for row in rows))


def measured(asked: argparse.Namespace, change: str, settings: object) -> Row:
    """Train what is missing, then ask it about test."""
    job = train_job(ask(asked, ()), Silent())
    usual = int(job.spec.recipe.train.epochs)
    parts = settings if isinstance(settings, tuple) else (settings,)
    changed = [f"train.epochs={usual * n}" if isinstance(n, int) else str(n) for n in parts]
    job = train_job(ask(asked, tuple(changed)), Silent())
    runs = [
        ensure(spec, job.site(Silent()), asked=True).run for spec in job.spec.alike(asked.seeds)
    ]
    test = plain_store(job.source.test, job.spec.recipe, Silent())
    right = measure([run.model for run in runs], test, job.device).right(test.labels).mean(1)
    minutes = mean(float(run.outcome()["seconds"]) for run in runs) / 60
    return Row(change, float(right.mean()), float(np.std(right, ddof=1)), minutes)


def ask(asked: argparse.Namespace, settings: tuple[str, ...]) -> Ask:
    """The `kd train` of a teacher."""
    place = None if asked.data == "digits" else str(fashion_folder(asked.pool, IMAGES))
    grey = () if place is None else ("data.image_size=32", "data.augment=shift")
    fresh = ("student.pretrained=false", *grey)
    return Ask("supervised", (*fresh, *settings), asked.teacher, data=place, device="cpu")


def line(row: Row, default: Row) -> str:
    """With its gain over the default, and what each further minute brought."""
    gain, further = 100 * (row.accuracy - default.accuracy), row.minutes - default.minutes
    rate = f", {signed(gain / further, '.2f')} a further minute" if further > 0.1 else ""
    return (
        f"{row.change}: {100 * row.accuracy:.1f} ± {100 * row.sd:.1f} in {row.minutes:.1f} min, "
        f"{signed(gain)} points{rate}"
    )


if __name__ == "__main__":
    main()
