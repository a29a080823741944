"""How far the plan before the wait is from the truth: forecast, then train, and compare.

    python benchmarks/forecast.py [--jobs 4] [--json]

Every job is forecast and then carried out in one process, teacher and student together, in a
folder that is thrown away. On an idle machine: a busy one is another one a minute later.
"""

import argparse
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from tables import add_json, say, show

from kdcli.commands.distill import distill_job
from kdcli.core.progress import Silent
from kdcli.core.text import signed
from kdcli.plan.ask import Ask
from kdcli.plan.forecast import foresee
from kdcli.training.ensure import ensure

TARGET = 0.25
"""Largest share of the truth by which a forecast may be off. Two runs on two cores: +3%, +11%,
+21%, +2% and -20%, +19%, -4%, -1%."""


@dataclass(frozen=True)
class Job:
    """What is forecast; epochs are few, since what is asked is the error and not the model."""

    teacher: str
    student: str
    size: int | None
    """Pixels of photographs made of digits; None: the digits themselves."""
    epochs: int


JOBS = (
    Job("test_resnet", "test_efficientnet", None, 10),
    Job("resnet18", "mobilenetv3_small_100", None, 10),
    Job("resnet101", "mobilenetv3_small_100", None, 5),
    Job("resnet18", "mobilenetv3_small_100", 160, 2),
)
"""From models so small that everything else counts to one that takes nearly all of the time; and
photographs, of which decoding does."""


def main() -> None:
    """Print each job's forecast, truth and error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=len(JOBS), help="So many of them, small first.")
    add_json(parser)
    asked = parser.parse_args()
    figures = []
    for job in JOBS[: asked.jobs]:
        with tempfile.TemporaryDirectory() as folder:
            forecast, truth = compare(job, Path(folder))
        error = forecast / truth - 1
        figures.append(asdict(job) | {"forecast": forecast, "truth": truth, "error": error})
        data = f"photographs of {job.size} px" if job.size else "digits"
        say(asked, f"{job.teacher} -> {job.student}, {data}: ", end="")
        say(asked, f"forecast {forecast:.1f} s, truth {truth:.1f} s: {signed(error, '.0%')}")
    worst = max(abs(one["error"]) for one in figures)
    show(asked, figures, [f"worst {worst:.0%} (at most {TARGET:.0%})"])


def compare(job: Job, folder: Path) -> tuple[float, float]:
    """Seconds forecast, and seconds that it took from then on."""
    os.environ["KD_RUNS"] = str(folder / "runs")
    recipe = folder / "teacher.yaml"
    few = f"train: {{epochs: {job.epochs}, patience: null}}\n"
    recipe.write_text(f"scheme: alone\n{few}", "utf-8")
    asked = distill_job(
        Ask(
            "kd",
            teachers=(job.teacher,),
            student=job.student,
            settings=(
                f"teacher.recipe={recipe}",
                f"train.epochs={job.epochs}",
                "train.patience=null",
                "student.pretrained=false",
                "teacher.pretrained=false",
                *([f"data.image_size={job.size}"] if job.size else []),
            ),
            data=photographs(folder / "photographs", job.size) if job.size else None,
        ),
        Silent(),
    )
    forecast = foresee(asked, Silent())  # first: a finished training takes no time
    start = time.monotonic()
    ensure(asked.spec, asked.site(Silent()))
    return forecast.seconds, time.monotonic() - start


def photographs(folder: Path, size: int) -> str:
    """JPEG files of 320 x 240 pixels, ten classes of 60: larger than what is trained on, as files
    of a camera are."""
    digits = load_digits()
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
        for i, image in enumerate(digits.images[digits.target == label][:60]):
            large = Image.fromarray((image * 15).astype(np.uint8)).resize((320, 240))
            large.convert("RGB").save(folder / str(label) / f"{i}.jpg")
    return str(folder)


if __name__ == "__main__":
    main()
