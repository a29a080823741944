"""THE loop: one training of one distiller, resumable after every epoch. Home of accelerate.

Nothing here draws from a shared random generator: data come from (seed, epoch, batch), and the
generator is seeded anew from (seed, step) before each step, so that a resumed run sees what the
uninterrupted one would have seen.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from timm.optim._optim_factory import create_optimizer_v2
from timm.scheduler.cosine_lr import CosineLRScheduler
from torch import Tensor

from kdcli.checkpoint import load_state, save_state
from kdcli.data.order import hashes
from kdcli.distiller import Distiller, Losses
from kdcli.errors import DamagedFile, MissingDevice, NotFinite, OutOfMemory, UsageError
from kdcli.files import disk_errors, write_text
from kdcli.meter import Meter
from kdcli.metrics import converged
from kdcli.progress import Progress
from kdcli.recipe import Train, span_epochs
from kdcli.records import Batch
from kdcli.runs import Run


@dataclass(frozen=True)
class Ended:
    """How a training ended; the closing line of metrics.jsonl."""

    ended: str
    """`epochs` (all done), `converged` (patience) or `satisfactory` (until)."""
    epochs: int
    best_epoch: int
    val_accuracy: float
    """Of the best epoch, which is the one that ships."""
    val_nll: float
    converged: bool
    """The training accuracy had stopped rising."""
    seconds: float


@dataclass
class _State:
    """What a resumed training goes on from."""

    accuracies: list[float] = field(default_factory=list)
    """Running training accuracy, one per epoch done."""
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_nll: float = math.inf
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        return len(self.accuracies)


def open_device(wanted: str) -> torch.device:
    """`auto` is the first of cuda, mps, cpu that is there.

    Raises:
        MissingDevice: the one asked for is not there.
        UsageError: kd was launched as several processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            "kd trains in one process", "start it without accelerate launch / torchrun"
        )
    torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32
    if wanted != "auto":
        _check_device(wanted)
        os.environ["ACCELERATE_TORCH_DEVICE"] = wanted
    device: torch.device = _accelerator(wanted).device
    return device


def _check_device(wanted: str) -> None:
    try:
        if torch.zeros(1, device=wanted).device.type not in ("cpu", "cuda", "mps"):
            raise ValueError(wanted)
    except (RuntimeError, AssertionError, ValueError) as error:
        there = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        there += ["mps"] if torch.backends.mps.is_available() else []
        raise MissingDevice(
            f"--device {wanted}: not on this machine", f"here: {', '.join(there)}, or auto"
        ) from error


def _accelerator(wanted: str = "auto") -> Accelerator:
    return Accelerator(mixed_precision="no", cpu=wanted == "cpu" or None)


def fit(
    distiller: Distiller,
    train: Train,
    *,
    batches: Callable[[int], Iterator[Batch]],
    steps_per_epoch: int,
    validate: Callable[[], tuple[float, float]],
    seed: int,
    run: Run,
    label: str,
    progress: Progress,
) -> tuple[dict[str, Tensor], Ended]:
    """Train `distiller`, or go on where `run` left off.

    `batches(epoch)` gives one epoch, `validate()` accuracy and NLL of what ships. `train` holds no
    `auto`. Returns the weights of the best epoch on validation, and how training ended; appends
    to metrics.jsonl and keeps state.pt after each epoch.

    Raises:
        NotFinite: a loss or the gradient is not a number; before the step, naming the term.
        OutOfMemory: the device is full.
    """
    epochs, total = int(train.epochs), int(train.epochs) * steps_per_epoch
    accelerator = _accelerator()
    optimizer = create_optimizer_v2(
        distiller, opt=train.optimizer, lr=float(train.lr), weight_decay=train.weight_decay
    )
    model, optimizer = accelerator.prepare(distiller, optimizer)
    schedule = _schedule(optimizer, train, total, steps_per_epoch)
    state = _resume(model, optimizer, run)
    if state.epochs:
        progress.say(f"{label}: going on after epoch {state.epochs} of {epochs}")
    ended = _ended(state, train)
    first = state.epochs * steps_per_epoch
    feed = chain.from_iterable(batches(epoch) for epoch in range(state.epochs, epochs))
    meter, clock = Meter(), time.monotonic()
    waited = progress.track(feed if not ended else (), total - first, label)
    with _memory_errors(train), closing(waited):  # else a bar would outlive an error
        for step, batch in enumerate(waited, first):
            torch.manual_seed(int(hashes(seed, step)) & (2**63 - 1))
            schedule.step_update(step + 1)
            losses = _step(accelerator, model, optimizer, batch.to(accelerator.device), train)
            meter.add(losses, len(batch.labels))
            if (step + 1) % steps_per_epoch:
                continue
            accuracy, nll = validate()
            line = meter.line(state.epochs + 1, step + 1, optimizer.param_groups[0]["lr"])
            line |= {"val_accuracy": accuracy, "val_nll": nll}
            state.seconds += time.monotonic() - clock
            _remember(state, model, line)
            _log(run, line)
            progress.note(_in_words(line, epochs))
            if ended := _ended(state, train):
                break  # the caller writes model.pt now: no need for a resume state
            meter, clock = Meter(), time.monotonic()
            _keep(state, model, optimizer, run)
    return state.best_weights, Ended(
        ended=ended,
        epochs=state.epochs,
        best_epoch=state.best_epoch,
        val_accuracy=state.best_accuracy,
        val_nll=state.best_nll,
        converged=converged(state.accuracies),
        seconds=round(state.seconds, 1),
    )


def finish(run: Run, ended: Ended) -> None:
    """Close metrics.jsonl; a line from an earlier attempt to finish is replaced."""
    lines = [line for line in run.lines() if "ended" not in line]
    _write_lines(run.metrics, [*lines, asdict(ended)])


def _schedule(optimizer: Any, train: Train, total: int, steps_per_epoch: int) -> CosineLRScheduler:
    """Per step: linear warm-up, then cosine down to zero behind the last step."""
    warmup = span_epochs(train.warmup, int(train.epochs)) if train.warmup else 0.0
    steps = min(round(warmup * steps_per_epoch), total - 1)
    return CosineLRScheduler(
        optimizer,
        t_initial=total - steps + 1,
        warmup_t=steps,
        warmup_prefix=True,
        t_in_epochs=False,
    )


def _step(
    accelerator: Accelerator, model: Distiller, optimizer: Any, batch: Batch, train: Train
) -> Losses:
    losses: Losses = model(batch)
    if not torch.isfinite(losses.total):
        raise _not_finite(losses)
    optimizer.zero_grad(set_to_none=True)
    accelerator.backward(losses.total)
    if train.clip is not None:
        norm = accelerator.clip_grad_norm_(model.parameters(), train.clip)
        if not torch.isfinite(norm):
            raise NotFinite("the gradient is not finite, though every loss is", _CALMER)
    optimizer.step()
    return losses


_CALMER = "lower --set train.lr=..., or train in --set student.precision=fp32"


def _not_finite(losses: Losses) -> NotFinite:
    values = {name: float(loss.detach()) for name, loss in losses.terms.items()}
    wrong = [name for name, value in values.items() if not math.isfinite(value)]
    shown = ", ".join(f"{name} = {value:g}" for name, value in values.items())
    return NotFinite(
        f"the loss is not finite: {' and '.join(wrong) or 'their sum'} ({shown}); "
        "stopped before the step",
        _CALMER,
    )


def _ended(state: _State, train: Train) -> str:
    """Which of the three ends has been reached; empty while none has."""
    if train.until and state.best_accuracy >= train.until.accuracy:
        return "satisfactory"
    if state.epochs and train.patience and state.epochs - state.best_epoch >= int(train.patience):
        return "converged"
    return "epochs" if state.epochs >= int(train.epochs) else ""


def _remember(state: _State, model: Distiller, line: dict[str, Any]) -> None:
    """Count the epoch, and take its weights if it is the best on validation so far."""
    state.accuracies.append(line["train_accuracy"])
    score = (line["val_accuracy"], -line["val_nll"])
    if score > (state.best_accuracy, -state.best_nll):
        state.best_epoch = line["epoch"]
        state.best_accuracy, state.best_nll = line["val_accuracy"], line["val_nll"]
        weights = model.ships().state_dict()
        state.best_weights = {k: v.detach().cpu().clone() for k, v in weights.items()}


def _log(run: Run, line: dict[str, Any]) -> None:
    """Before state.pt is written: what that does not know of is cut off when resuming."""
    with disk_errors(run.metrics), run.metrics.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _keep(state: _State, model: Distiller, optimizer: Any, run: Run) -> None:
    kept = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    save_state(kept | {"progress": vars(state)}, run.state)


def _resume(model: Distiller, optimizer: Any, run: Run) -> _State:
    kept = load_state(run.state)
    if kept is None:
        write_text(run.metrics, "")
        return _State()
    try:
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        state = _State(**kept["progress"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DamagedFile(
            f"{run.state}: no resume state of this training", "repeat the command with --again"
        ) from error
    _write_lines(run.metrics, [x for x in run.lines() if x.get("epoch", math.inf) <= state.epochs])
    return state


def _write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(line) + "\n" for line in lines))


def _in_words(line: dict[str, Any], epochs: int) -> str:
    return (
        f"epoch {line['epoch']}/{epochs}  loss {line['loss']:.3f}  "
        f"train {line['train_accuracy']:.3f}  val {line['val_accuracy']:.3f}"
    )


@contextmanager
def _memory_errors(train: Train) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(
            f"the device's memory is full at batch size {train.batch_size}",
            f"try --set train.batch_size={max(1, int(train.batch_size) // 2)}, "
            "or a smaller --set data.image_size",
        ) from error
