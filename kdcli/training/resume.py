"""The epochs done: which was the best, whether it is enough, and the files to go on from."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from kdcli.core.errors import DamagedFile, OtherFormat
from kdcli.core.files import write_text
from kdcli.core.links import append
from kdcli.core.progress import Progress
from kdcli.core.text import counted
from kdcli.models.checkpoint import AFRESH, load_state, save_state
from kdcli.recipe.train import Train
from kdcli.runs.metrics_file import as_line
from kdcli.runs.run import Run
from kdcli.training.processes.exchange import current

Kept = Mapping[str, nn.Module]
"""What a run keeps, by name: what may ship, and what lies next to it."""


@dataclass(frozen=True)
class Validation:
    """How the model that would ship does on the validation images: shares in [0, 1], nats."""

    accuracy: float
    balanced_accuracy: float
    """Mean recall of the classes."""
    nll: float

    def score(self, select: str) -> float:
        """Of what `train.select` names, in [0, 1]; the larger, the better."""
        return self.balanced_accuracy if select == "balanced_accuracy" else self.accuracy


def best_of(found: Mapping[str, Validation], select: str) -> str:
    """Who did best, and with fewer nats where that is equal; the first of equals.

    On few validation images many epochs are equal; the surer answers then decide.
    """
    return max(found, key=lambda name: (found[name].score(select), -found[name].nll))


def validation_line(found: Mapping[str, Validation], best: str) -> dict[str, Any]:
    """What metrics.jsonl tells of an epoch: of the best, and both accuracies of each of several."""
    line: dict[str, Any] = {f"val_{name}": value for name, value in asdict(found[best]).items()}
    if len(found) > 1:
        for key in ("accuracy", "balanced_accuracy"):
            line[f"val_{key}_of"] = {name: getattr(one, key) for name, one in found.items()}
    return line


@dataclass
class Within:
    """How far an epoch has come that goes on within; a part of state.pt, by its names."""

    steps: int = 0
    counted: dict[str, Any] = field(default_factory=dict)
    """By the meter."""
    norms: dict[str, Tensor] = field(default_factory=dict)
    """Of gradients, so far."""


@dataclass
class Epochs:
    """What a resumed training goes on from; its fields are a part of state.pt, by their names."""

    accuracies: list[float] = field(default_factory=list)
    """Running training accuracy, one per epoch done."""
    best: str = ""
    """Who was best on validation, of all that may ship and of all epochs."""
    best_epoch: int = 0
    best_score: float = -1.0
    """Of what `train.select` names."""
    best_accuracy: float = 0.0
    best_balanced: float = 0.0
    best_nll: float = math.inf
    best_weights: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    """Of all that is kept, as it was then; by name."""
    seconds: float = 0.0

    @property
    def done(self) -> int:
        return len(self.accuracies)

    def remember(
        self, train_accuracy: float, name: str, found: Validation, select: str, kept: Kept
    ) -> None:
        """Count an epoch, and take the weights of all that is kept, if `name`, the best of it, is
        the best on validation so far."""
        self.accuracies.append(train_accuracy)
        score = found.score(select)
        if (score, -found.nll) > (self.best_score, -self.best_nll):
            self.best, self.best_epoch, self.best_score = name, self.done, score
            self.best_accuracy, self.best_balanced = found.accuracy, found.balanced_accuracy
            self.best_nll = found.nll
            self.best_weights = _copies(kept)

    def ended(self, train: Train) -> str:
        """Which of the three ends has been reached; empty while none has.

        The baseline has the same ends. Patience counts from the best epoch, which may be better by
        its nats alone.
        """
        if train.until and self.best_accuracy >= train.until.accuracy:
            return "satisfactory"
        if self.done and train.patience and self.done - self.best_epoch >= int(train.patience):
            return "converged"
        return "epochs" if self.done >= int(train.epochs) else ""


def _copies(kept: Kept) -> dict[str, dict[str, Tensor]]:
    """State dicts on the CPU; a tensor that several share is copied once, here and in state.pt:
    exits and a fused model are made of their networks' own."""
    copies: dict[tuple[int, ...], Tensor] = {}

    def copy(tensor: Tensor) -> Tensor:
        # an empty tensor has no place in memory; what shares one is the same only in the same shape
        key = (tensor.data_ptr() or id(tensor), *tensor.shape, *tensor.stride())
        if key not in copies:
            copies[key] = tensor.detach().cpu().clone()
        return copies[key]

    return {
        name: {key: copy(value) for key, value in module.state_dict().items()}
        for name, module in kept.items()
    }


SELDOM = 20
"""State is written after the first epoch, then whenever so many times as long as that took has
passed: where epochs are short, as of few images, writing would be most of the work."""


class Pace:
    """When state.pt is due."""

    def __init__(self, minutes: float | None) -> None:
        """`minutes`: of a long epoch also within, so long after the last one."""
        self._next, self._wait = -math.inf, 60 * (math.inf if minutes is None else minutes)
        self._next_within = time.monotonic() + self._wait

    def due(self, within: bool) -> bool:
        """After an epoch, or a step `within` one: whether to write it now."""
        return time.monotonic() >= (self._next_within if within else self._next)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around it: how long it takes says when it is due again."""
        start = time.monotonic()
        yield
        now = time.monotonic()
        self._next = now + SELDOM * (now - start)
        self._next_within = max(self._next, now + self._wait)


def log(run: Run, line: dict[str, Any]) -> None:
    """Append a line to metrics.jsonl, before state.pt is written: what that does not know of is cut
    off when resuming. The other way round a kill between the two would leave an epoch without its
    line. Of several processes the first writes, here and below."""
    if not current().is_first:
        return
    append(run.metrics, as_line(line))


def keep(run: Run, epochs: Epochs, parts: dict[str, Any], within: Within | None = None) -> None:
    """Write state.pt: the epochs, how far the next one has come, and the state of everything in
    `parts`. No generator's: each step seeds its own."""
    if not current().is_first:
        return
    states = {name: part.state_dict() for name, part in parts.items()}
    own = {"run": _whose(run), "progress": vars(epochs), "within": vars(within or Within())}
    save_state(states | own, run.state, run.former_state)


def epochs_kept(run: Run) -> int:
    """How many of its epochs a training that goes on has behind it; raises DamagedFile."""
    kept, _ = _newest(run)
    return len(kept["progress"]["accuracies"]) if kept else 0


def recover(run: Run, progress: Progress) -> None:
    """Where state.pt is damaged, or a kill came while it was written, the one before takes its
    place.

    Raises:
        DamagedFile: there is none that is whole.
    """
    kept, damage = _newest(run)
    if kept and run.state.exists() and not run.state.is_file():  # somebody's folder, a pipe
        raise DamagedFile(
            damage, f"move it away: the same command then goes on from {run.former_state}"
        )
    if damage:
        progress.warn(f"{damage}; going on from {run.former_state.name}, the one before it")
    if kept and (damage or not run.state.exists()):
        run.former_state.replace(run.state)
    known = {line.get("epoch") for line in run.lines()}
    if kept and (lost := len(kept["progress"]["accuracies"]) - len(known - {None})) > 0:
        gone = f"{run.metrics}: damaged, {counted(lost, 'epoch')} of it cannot be read"
        progress.warn(f"{gone} and will be missing in the report; no weight depends on it")


def _newest(run: Run) -> tuple[dict[str, Any] | None, str]:
    """The newest state that is whole, and what is wrong with the newest."""
    try:
        if (kept := _own(run, run.state)) is not None:
            return kept, ""
        return _own(run, run.former_state), ""
    except OtherFormat:  # whole: to go on from the one before would overwrite it
        raise
    except DamagedFile as damaged:
        with suppress(DamagedFile):
            if kept := _own(run, run.former_state):
                return kept, damaged.what
        raise


def _own(run: Run, file: Path) -> dict[str, Any] | None:
    """A state of this very run; those of before said nothing of that."""
    kept = load_state(file)
    if kept and kept.get("run", _whose(run)) != _whose(run):
        raise DamagedFile(f"{file}: the resume state of another run", AFRESH)
    return kept


def _whose(run: Run) -> str:
    return run.known.digest if run.known else ""


def resume(run: Run, parts: dict[str, Any]) -> tuple[Epochs, Within]:
    """Give `parts` the states that were written last, and cut the log there.

    Raises:
        DamagedFile: state.pt is damaged, or that of another training.
    """
    kept = _own(run, run.state)
    if kept is None:
        write_lines(run, [])
        return Epochs(), Within()
    try:
        for name, part in parts.items():
            part.load_state_dict(kept[name])
        epochs, within = Epochs(**kept["progress"]), Within(**kept.get("within", {}))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DamagedFile(f"{run.state}: no resume state of this training", AFRESH) from error
    # a torn last line is left out by `lines`, one without an epoch is the end of an earlier attempt
    write_lines(run, [x for x in run.lines() if x.get("epoch", math.inf) <= epochs.done])
    return epochs, within


def write_lines(run: Run, lines: list[dict[str, Any]]) -> None:
    """metrics.jsonl anew, whole or not at all."""
    if not current().is_first:
        return
    write_text(run.metrics, "".join(map(as_line, lines)))


def where(epochs: Epochs, within: Within, train: Train, steps_per_epoch: int) -> str:
    """Of a training that goes on: what it has behind it."""
    step = f"step {within.steps} of {steps_per_epoch}" if within.steps else ""
    if not epochs.done:
        return f"{step} of epoch 1 of {train.epochs}" if step else ""
    return f"epoch {epochs.done} of {train.epochs}" + (f", {step} of the next" if step else "")
