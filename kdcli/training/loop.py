"""THE loop: one training of one distiller, resumable after every step. Teacher, baseline and
student go through it alike.

Nothing here draws from a shared random generator: data come from (seed, epoch, batch), and the
generator is seeded anew from (seed, step) before each step, so that a resumed run sees what the
uninterrupted one would have seen.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from kdcli.core.errors import NotFinite
from kdcli.core.progress import Progress
from kdcli.core.records import Batch
from kdcli.core.stopping import uninterrupted
from kdcli.evaluation.metrics import converged
from kdcli.recipe.train import Train
from kdcli.runs.run import Run
from kdcli.training.answers.ask_once import Answered
from kdcli.training.devices import wait_for
from kdcli.training.distiller import Distiller
from kdcli.training.gradient_shares import Shares
from kdcli.training.losses import Meter
from kdcli.training.memory import in_more_parts, memory_errors
from kdcli.training.not_finite import told_where
from kdcli.training.resume import (
    Epochs,
    Kept,
    Pace,
    Validation,
    Within,
    best_of,
    keep,
    log,
    resume,
    validation_line,
    where,
    write_lines,
)
from kdcli.training.stepper import Stepper
from kdcli.training.threads import fewest_of_the_fast, in_turn, using
from kdcli.training.trajectory import Trail
from kdcli.training.waiting import Waiting


@dataclass(frozen=True)
class Ended:
    """How a training ended; the closing line of metrics.jsonl."""

    ended: str
    """`epochs` (all done), `converged` (patience) or `satisfactory` (until)."""
    epochs: int
    ships: str
    """Who was best on validation, of all that may ship: `student`, `peer.1`, ..."""
    best_epoch: int
    val_accuracy: float
    """Of the best epoch, which is the one that ships."""
    val_balanced_accuracy: float
    val_nll: float
    converged: bool
    """The training accuracy, that of the network that began as the student, had stopped rising."""
    seconds: float


def fit(
    distiller: Distiller,
    train: Train,
    *,
    batches: Callable[[int, int], Iterator[Batch]],
    steps_per_epoch: int,
    validate: Callable[[nn.Module], Validation],
    seed: int,
    run: Run,
    label: str,
    progress: Progress,
    alongside: Mapping[str, Stepper] | None = None,
    trail: Trail | None = None,
    answered: Answered = iter,
) -> tuple[dict[str, dict[str, Tensor]], Ended]:
    """Train `distiller`, or go on where `run` left off.

    `batches(epoch, done)` gives those from an epoch's so manyth to the end, `validate(model)`
    measures what would ship. `train` holds no `auto`. `alongside` are teachers that learn at its
    steps: resumed with it, and kept beside it under these names. `trail` keeps weights after some
    of the steps, `answered` asks teachers that are asked once.

    Returns the weights of all that is kept, by name, after the best epoch on validation, and how
    training ended; appends to metrics.jsonl after each epoch, and keeps state.pt: after an epoch
    or `save_minutes` now and then, and after the last step where it is asked to stop. On a
    processor a training that was interrupted, however often, ends with the weights of one that was
    not, bit for bit.

    Raises:
        NotFinite: a loss or the gradient is not a number; before the step, naming the term.
        OutOfMemory: the device is full.
        DamagedFile: state.pt is damaged, or that of another training.
        DiskError: metrics.jsonl or state.pt cannot be written.
    """
    total = int(train.epochs) * steps_per_epoch
    others = dict(alongside or {})  # a teacher that learns along would take the step twice
    stepper = Stepper(distiller, train, steps_per_epoch, may_grow=not others)
    teachers = {name: other.ships["student"] for name, other in others.items()}
    kept = stepper.ships | stepper.beside | teachers
    close = _Close(run, train, label, validate, stepper.ships, teachers, kept, progress)
    resumed = {"learning": stepper, **others}
    epochs, within = resume(run, resumed)
    if said := where(epochs, within, train, steps_per_epoch):
        progress.say(f"{label}: going on after {said}")
    begun = done = epochs.done * steps_per_epoch + within.steps
    meter, shares = Meter(within.counted), Shares(distiller, steps_per_epoch, within.norms)
    waiting, pace = Waiting(), Pace(train.save_minutes)
    clock, halfway = time.monotonic(), False

    def close_epoch() -> str:
        """Which end of the training this one is, if any."""
        nonlocal meter, clock
        for one in resumed.values():
            one.settle()
        line = meter.line(epochs.done + 1, done, stepper.lr) | waiting.close()
        if words := waiting.words(line, int(train.epochs)):
            progress.warn(f"{label}: {words}")
        found = close.validated(line)
        with uninterrupted():
            close(epochs, line, found, shares)
            epochs.seconds += time.monotonic() - clock
            meter, clock = Meter(), time.monotonic()
        return epochs.ended(train)

    def keep_now() -> None:
        """What every step up to here has come to."""
        nonlocal clock
        epochs.seconds, clock = epochs.seconds + time.monotonic() - clock, time.monotonic()
        steps = done - epochs.done * steps_per_epoch
        keep(run, epochs, resumed, Within(steps, meter.counted(), shares.norms_so_far()))

    try:
        whole = done - epochs.done * steps_per_epoch == steps_per_epoch
        ended = close_epoch() if whole else epochs.ended(train)  # stopped while it was validated
        feed = answered(waiting.over(batches(*divmod(done, steps_per_epoch)))) if not ended else ()
        tracked = progress.track(feed, total - done, label)
        with closing(tracked):  # else a bar would outlive an error
            for batch in tracked:
                place = told_where(run, distiller, batch, done, epochs.done + 1)
                count = stepper.parts.count
                with uninterrupted(), memory_errors(label, batch, count), place:
                    halfway = True
                    meter.add(stepper.step(batch, seed, done, shares), batch.labels)
                    if trail:
                        trail.after(done + 1, stepper.ships["student"])
                    done, halfway = done + 1, False
                if stepper.parts.count != count:
                    progress.warn(f"{label}: {in_more_parts(stepper.parts.count)}")
                closes = done % steps_per_epoch == 0
                if closes and (ended := close_epoch()):
                    break  # the caller writes model.pt now: no need for a resume state
                if pace.due(within=not closes):
                    with pace.writing():
                        keep_now()
                if closes:
                    waiting.start()
        if trail:
            trail.last(done, stepper.ships["student"])  # else its end would be missing
    except KeyboardInterrupt:
        if done > begun and not halfway:
            keep_now()
        raise
    return epochs.best_weights, _closing(epochs, ended)


@dataclass(frozen=True, eq=False)
class _Close:
    """The end of an epoch: everyone is measured, the best remembered, the line logged and said."""

    run: Run
    train: Train
    label: str
    validate: Callable[[nn.Module], Validation]
    ships: Mapping[str, nn.Module]
    teachers: Mapping[str, nn.Module]
    """Those that learn at the same steps."""
    kept: Kept
    progress: Progress

    def validated(self, line: dict[str, Any]) -> dict[str, Validation]:
        """Everyone who may ship, by name; `line` is told what teachers that learn along reach."""
        line |= self._of_teachers()
        return {name: self.validate(one) for name, one in self.ships.items()}

    def __call__(
        self, epochs: Epochs, line: dict[str, Any], found: dict[str, Validation], shares: Shares
    ) -> None:
        # the line is logged before state.pt is written: see `resume.log`
        best = best_of(found, self.train.select)
        line |= validation_line(found, best)
        epochs.remember(line["train_accuracy"], best, found[best], self.train.select, self.kept)
        line |= shares.close()
        log(self.run, line)
        self.progress.note(_in_words(line, self.train))
        for words in shares.warnings(epochs.done):
            self.progress.warn(f"{self.label}: {words}")

    def _of_teachers(self) -> dict[str, Any]:
        found = {name: self.validate(one) for name, one in self.teachers.items()}
        each = ("accuracy", "balanced_accuracy") if found else ()
        return {
            f"teacher_val_{key}": {n: getattr(v, key) for n, v in found.items()} for key in each
        }


def rehearse(
    distiller: Distiller,
    train: Train,
    batches: Iterator[Batch],
    device: torch.device,
    label: str,
    counts: Sequence[int],
) -> tuple[int, list[float]]:
    """With which of these numbers of threads, the most first, its steps take the least time; and
    the seconds of some real ones, the first of which (always slow) is left out.

    `distiller` is changed: it is not to be trained afterwards. `batches` have no end.
    """
    # these steps are too few for a warm-up, without which the full rate might diverge: next to no
    # rate is the same arithmetic
    slow = train.model_copy(update={"lr": 1e-9, "warmup": None})
    stepper = Stepper(distiller, slow, REHEARSED, may_grow=True)
    number = count()

    def step() -> float:
        clock = time.monotonic()
        batch = next(batches)
        full = memory_errors(label, batch, stepper.parts.count)
        with full, suppress(NotFinite):  # training says so
            stepper.step(batch, 0, next(number))
        wait_for(device)  # a GPU has only been told what to do
        return time.monotonic() - clock

    with torch.random.fork_rng():  # a step seeds the shared generator; the training must not notice
        with using(counts[0]):
            step()
        tried = in_turn(step, counts) if len(counts) > 1 else {counts[0]: []}
        threads = fewest_of_the_fast(tried) if len(counts) > 1 else counts[0]
        seconds = tried[threads]
        with using(threads):
            while len(seconds) < REHEARSED - 1 and sum(seconds) <= ENOUGH_SECONDS:
                seconds.append(step())
    return threads, seconds


REHEARSED, ENOUGH_SECONDS = 20, 4.0
"""Steps of a rehearsal, and seconds after which it is over sooner. `benchmarks/forecast.py` says
how far off that leaves a forecast: at most a quarter is its aim."""


def finish(run: Run, ended: Ended) -> None:
    """Close metrics.jsonl; a line from an earlier attempt to finish, killed before model.pt was
    there, is replaced."""
    write_lines(run, [*(line for line in run.lines() if "ended" not in line), asdict(ended)])


def _closing(epochs: Epochs, ended: str) -> Ended:
    return Ended(
        ended=ended,
        epochs=epochs.done,
        ships=epochs.best,
        best_epoch=epochs.best_epoch,
        val_accuracy=epochs.best_accuracy,
        val_balanced_accuracy=epochs.best_balanced,
        val_nll=epochs.best_nll,
        converged=converged(epochs.accuracies),
        seconds=round(epochs.seconds, 1),
    )


def _in_words(line: dict[str, Any], train: Train) -> str:
    words = (
        f"epoch {line['epoch']}/{train.epochs}  loss {line['loss']:.3f}  "
        f"train {line['train_accuracy']:.3f}  val {line['val_accuracy']:.3f}"
    )
    if train.select == "balanced_accuracy":
        words += f"  balanced {line['val_balanced_accuracy']:.3f}"
    for name, accuracy in line.get("teacher_val_accuracy", {}).items():
        words += f"  {name} {accuracy:.3f}"
    if gradient := line.get("share_of_gradient"):
        words += "  gradient: " + ", ".join(f"{n} {share:.0%}" for n, share in gradient.items())
    return words
