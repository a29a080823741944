"""kd beside others: an epoch of distillation by kd, by hand, by timm.task, and by torchdistill.

    python benchmarks/rivals.py digits [--json]
    python benchmarks/rivals.py photographs [--images 400] [--size 64] [--json]
    python benchmarks/rivals.py photographs --images 1600 --size 224 --device cuda --precision bf16
    python benchmarks/rivals.py digits --students 10        (kd alone: live against stored answers)

resnet101 -> mobilenetv3_small_100 with random weights, the recipe kd's numbers, from the same files
with the same augmentation (the others' by torchvision, timm's photographs by its own loader), in
the same precision and memory format, by as many worker processes. Epochs take turns, so that a
machine that slows down slows all; `before` is what each does once: it opens and, where they fit
into memory, decodes the images. Photographs are made here: JPEG files of 500 x 375 pixels.
torchdistill is measured where Python finds it (pip install --target DIR --no-deps torchdistill,
PYTHONPATH=DIR).
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterable
from itertools import count, islice
from pathlib import Path
from typing import Any

from other_loops import Epoch, by_hand, digits, photographs, timm_task, torchdistill
from step import STUDENT, TEACHER, kd_parts
from tables import add_json, say, show

from kdcli.core.errors import RecipeError
from kdcli.core.openmp import usable_cores
from kdcli.core.progress import Silent
from kdcli.plan.data import open_data
from kdcli.runs.spec import Spec
from kdcli.training.build import Assembled
from kdcli.training.devices import open_device, wait_for
from kdcli.training.ensure import ensure
from kdcli.training.site import Site
from kdcli.training.stepper import Stepper


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", choices=("digits", "photographs"))
    parser.add_argument("--images", type=int, default=1600, help="Photographs to learn from.")
    parser.add_argument("--size", type=int, help="Pixels; digits 32, photographs 64.")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, default=usable_cores())
    parser.add_argument("--epochs", type=int, default=3, help="Of each, in turn.")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--teacher", default=TEACHER)
    parser.add_argument("--student", default=STUDENT)
    parser.add_argument("--students", type=int, default=0, help="Live against stored answers.")
    add_json(parser)
    asked = parser.parse_args()
    asked.size = asked.size or (32 if asked.data == "digits" else 64)
    asked.place = open_device(asked.device)
    with tempfile.TemporaryDirectory() as folder:
        asked.folder = Path(folder)
        os.environ["KD_CACHE"] = str(asked.folder / "cache")
        os.environ["KD_WORKERS"] = str(asked.workers)
        make = digits if asked.data == "digits" else photographs
        asked.files = make(asked.folder / "images", asked.images)
        figures = students(asked) if asked.students else in_turn(asked)
    show(asked, figures, table(figures))


def in_turn(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Seconds of each one's epochs, round by round."""
    rivals: dict[str, Epoch] = {}
    before: dict[str, float] = {}
    for name, make in RIVALS.items():
        start = time.perf_counter()
        try:
            rivals[name] = make(asked)
        except ImportError as error:
            say(asked, f"{name}: left out: {error}")
            continue
        before[name] = time.perf_counter() - start
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(asked.epochs):
        for name, epoch in rivals.items():
            start = time.perf_counter()
            epoch()
            wait_for(asked.place)
            seconds[name].append(time.perf_counter() - start)
    ratios = {
        name: [one / other for one, other in zip(each, seconds["by hand"], strict=True)]
        for name, each in seconds.items()
    }
    return [
        {
            "name": name,
            "before": before[name],
            "epoch": statistics.median(each),
            "ratio": statistics.median(ratios[name]),
            "seconds": each,
        }
        for name, each in seconds.items()
    ]


def table(figures: list[dict[str, Any]]) -> Iterable[str]:
    """Markdown."""
    yield from ("| | before, s | an epoch, s | over the first |", "|---|---:|---:|---:|")
    for one in figures:
        cells = one["name"], f"{one['before']:.1f}", f"{one['epoch']:.2f}", f"{one['ratio']:.2f}"
        yield f"| {' | '.join(cells)} |"


# kd ----------------------------------------------------------------------------------------------


def kd_parts_of(asked: argparse.Namespace, *further: str) -> tuple[Spec, Assembled]:
    """With what is the same for all of them, in kd's words."""
    return kd_parts(
        asked.folder,
        asked.place,
        f"data.augment={'shift' if asked.data == 'digits' else 'crop_flip'}",
        f"student.precision={asked.precision}",
        f"teacher.precision={asked.precision}",
        *further,
        data=str(asked.files),
        teacher=asked.teacher,
        student=asked.student,
        size=asked.size,
        batch=asked.batch,
    )


def kd(asked: argparse.Namespace) -> Epoch:
    """What `training.loop.fit` does in an epoch, but for validation and the log. Its worker
    processes live on over epochs, and have a few batches ready when its turn comes."""
    spec, parts = kd_parts_of(asked)
    stepper, number = Stepper(parts.distiller, spec.recipe.train, parts.steps_per_epoch), count()
    feed = parts.batches(0)

    def epoch() -> None:
        for batch in islice(feed, parts.steps_per_epoch):
            stepper.step(batch, 0, next(number))

    return epoch


def students(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """So many students of one teacher that answers at every step, or once for all of them; `before`
    is what the first takes longer than the others."""
    figures: list[dict[str, Any]] = []
    length = f"train.epochs={asked.epochs}", "train.patience=null", "train.warmup=null"
    for answers in ("live", "stored"):
        os.environ["KD_RUNS"] = str(asked.folder / answers)
        try:
            spec, _ = kd_parts_of(asked, *length, f"teacher.answers={answers}")
        except RecipeError as error:
            say(asked, f"{answers}: left out: {error.what}")
            continue
        site = Site(open_data(str(asked.files), Silent())[0], asked.place, Silent())
        seconds = []
        for each in spec.alike(asked.students):
            start = time.perf_counter()
            ensure(each, site)
            seconds.append(time.perf_counter() - start)
        figures.append(
            {
                "name": f"{asked.students} students, {answers}",
                "before": seconds[0] - statistics.median(seconds[1:]),
                "epoch": statistics.mean(seconds) / asked.epochs,
                "ratio": sum(seconds) / sum(figures[0]["seconds"] if figures else seconds),
                "seconds": seconds,
            }
        )
    return figures


RIVALS = {"by hand": by_hand, "kd": kd, "timm.task": timm_task, "torchdistill": torchdistill}


if __name__ == "__main__":
    main()
