"""Teachers: anything that turns a Batch into Outputs."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from kdcli.core.records import Batch, Outputs
from kdcli.models.tap import Tap
from kdcli.recipe.teacher import Clock


@runtime_checkable
class Live(Protocol):
    """A teacher whose model is at hand, so that methods may see more than its answers."""

    @property
    def tap(self) -> Tap: ...

    def __call__(self, batch: Batch) -> Outputs: ...


class Frozen:
    """A finished model: eval mode, no gradients, its buffers untouched.

    No nn.Module, so that a learner that holds it neither trains nor saves it: `train()` of whoever
    holds it would set its batch norms and dropouts going.
    """

    def __init__(self, tap: Tap, same_classes: bool = True) -> None:
        """`same_classes`: as the data; what others answer is left out, so that nobody reads it."""
        self.tap = tap.eval().requires_grad_(False)
        self._same_classes = same_classes

    @torch.no_grad()  # as fast as inference_mode, whose tensors break losses that save them
    def __call__(self, batch: Batch) -> Outputs:
        outputs: Outputs = self.tap(batch)
        return outputs if self._same_classes else replace(outputs, logits=outputs.logits[:, :0])


class Recorded:
    """Models that are no longer there: what they once answered to each image.

    To the image as it is, whatever the student is shown of it: varied images would need an answer
    for each variation, which is what `training.answers.ask_once` keeps.
    """

    def __init__(self, answers: Outputs) -> None:
        """Logits and, where there are any, embeddings; by `Batch.index`."""
        self._answers = answers

    def __call__(self, batch: Batch) -> Outputs:
        known, device = self._answers, batch.images.device
        places = batch.index.to(known.logits.device)
        embedding = None if known.embedding is None else known.embedding[places].to(device)
        return Outputs(known.by, known.logits[places].to(device), embedding=embedding)


class Together:
    """Takes its own step on each batch, then teaches as it now is (arXiv:2301.12245).

    In eval mode, as a checkpoint would answer: both give the same student to 1e-6, which a test
    holds.

    The limit of a trajectory (Harutyunyan et al. 2023) with a checkpoint at every step, from
    memory of the paper's algorithm; nothing of it is stored. Where no gradients are recorded, it
    only answers.
    """

    def __init__(self, tap: Tap, learn: Callable[[Batch], None]) -> None:
        """`learn` takes one step with what `tap` asks, and leaves the shared generator alone."""
        self.tap = tap
        self._learn = learn

    def __call__(self, batch: Batch) -> Outputs:
        if torch.is_grad_enabled():
            self._learn(batch)
        self.tap.eval()
        with torch.no_grad():
            outputs: Outputs = self.tap(batch)
        return outputs


class Trajectory:
    """Teaches as the teacher was when it was as far (Harutyunyan et al. 2023, arXiv:2301.12245).

    Supervision Complexity and its Role in Knowledge Distillation: the student is supervised by a
    sequence of the teacher's checkpoints, so that its targets grow more complex. That a step takes
    the first checkpoint at or behind it is from memory of the paper's algorithm. What a method
    reads of a teacher's weights before the first step (the margins of ofd) is that of the first
    checkpoint.
    """

    def __init__(
        self,
        tap: Tap,
        steps: Sequence[int],
        load: Callable[[int], Mapping[str, Tensor]],
        total: int,
        clock: Clock = "progress",
    ) -> None:
        """`steps` are those after which there is a checkpoint, ascending; `load(step)` reads one,
        a state dict of `tap.module`; the student takes `total` steps."""
        self._frozen = Frozen(tap)
        self._steps, self._load = tuple(steps), load
        self._total, self._clock = total, clock
        self._loaded = 0

    @property
    def tap(self) -> Tap:
        return self._frozen.tap

    def __call__(self, batch: Batch) -> Outputs:
        """One checkpoint is in memory at a time."""
        # progress is a share, so rounded; the parts of a batch have that of the whole
        step = round(batch.progress * self._total) + 1
        wanted = checkpoint_at(step, self._total, self._steps, self._clock)
        if wanted != self._loaded:
            self.tap.module.load_state_dict(self._load(wanted))
            self._loaded = wanted
        return self._frozen(batch)


def checkpoint_at(step: int, total: int, kept: Sequence[int], clock: Clock) -> int:
    """The step of the teacher that a student at `step` (from 1 on) of `total` learns from.

    The first that was kept at or behind the student's own place, else the last; `kept` ascends, and
    its last is the teacher's last step.
    """
    # rounded up, in whole numbers: at equal lengths the step itself
    place = -(-step * kept[-1] // total) if clock == "progress" else step
    return kept[min(bisect_left(kept, place), len(kept) - 1)]
