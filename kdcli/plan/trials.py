"""What a model would reach from labels alone, from two short trainings of it."""

import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from kdcli.core.progress import Silent
from kdcli.data.subset import labelled_split
from kdcli.plan.job import Job
from kdcli.plan.rehearsal import estimate
from kdcli.recipe.edit import update
from kdcli.runs.find import find
from kdcli.runs.spec import Spec
from kdcli.training.ensure import ensure
from kdcli.training.site import Site

EPOCHS = 4
"""Of a short training: the best of so many validations, as the best of many is taken later."""
FIRST = 0.2
"""Of the seconds, for the first of two."""
STEEPEST = 0.5
"""Of the power law. Errors of networks fall no faster than with the root of the images shown, but
in the first steps, which say little of the last."""


@dataclass(frozen=True)
class Trial:
    """A model's accuracies on validation, in [0, 1]."""

    model: str
    accuracy: float
    """As it was measured last."""
    shown: int
    """Images until then."""
    whole: int
    """Images that the training asked for will show."""
    expected: float
    """Behind all of them; extrapolated unless `shown` is `whole`."""

    @property
    def words(self) -> str:
        """What was measured, and what follows from it."""
        measured = f"{self.model}: {100 * self.accuracy:.1f}% on validation"
        if self.shown >= self.whole:
            return measured
        return (
            f"{measured} after {self.shown:,} images, about {100 * self.expected:.0f}% after all "
            f"{self.whole:,} (extrapolated)"
        )


def try_alone(spec: Spec, job: Job, seconds: float) -> Trial:
    """Train the model of `spec`, which learns from labels alone, for about so many seconds: as a
    whole where that is surely enough, else twice for a short while, the second time for as long as
    the first leaves."""
    start, train = time.monotonic(), spec.recipe.train
    whole = int(train.epochs) * train.epoch_of(len(labelled_split(spec, job.source)))
    if (run := find(spec)) and run.finished:
        reached = float(run.outcome()["val_accuracy"])
        return Trial(spec.model, reached, whole, whole, reached)
    found = estimate(spec, job.source, job.device, place=Path(tempfile.gettempdir()))
    site = Site(job.source, job.device, Silent(), lambda _: found.threads)
    if found.seconds < seconds / 2:
        reached = _accuracy(spec, site)
        return Trial(spec.model, reached, whole, whole, reached)
    least, began = EPOCHS * int(train.batch_size), time.monotonic()
    shorter = max(least, round(FIRST * seconds / found.seconds * whole))
    sooner = _accuracy(_short(spec, shorter), site)
    took, left = time.monotonic() - began, seconds - (time.monotonic() - start)
    longer = max(2 * shorter, min(whole, round(shorter * left / took)))
    later = _accuracy(_short(spec, longer), site)
    expected = extrapolated(sooner, later, longer / shorter, whole / longer)
    return Trial(spec.model, later, min(longer, whole), whole, expected)


def extrapolated(sooner: float, later: float, between: float, further: float) -> float:
    """An accuracy in [0, 1] after `further` times as many images, from two of which the later saw
    `between` times as many: the error falls as a power of their number (Hestness et al. 2017,
    arXiv:1712.00409), and never rises."""
    if later >= 1:
        return 1.0
    slope = math.log((1 - sooner) / (1 - later)) / math.log(between)
    falls = math.pow(max(further, 1.0), min(max(slope, 0.0), STEEPEST))
    return max(later, 1 - (1 - later) / falls)


def _short(spec: Spec, images: int) -> Spec:
    changes = {"train.epochs": EPOCHS, "train.epoch_images": images // EPOCHS}
    ends = {"train.patience": None, "train.until": None, "train.compile": False}
    return spec.model_copy(update={"recipe": update(spec.recipe, changes | ends)})


def _accuracy(spec: Spec, site: Site) -> float:
    """On validation; nothing is kept of it."""
    with tempfile.TemporaryDirectory(prefix="kd-") as folder:
        run = ensure(spec, site, out=Path(folder) / "tried").run
        return float(run.outcome()["val_accuracy"])
