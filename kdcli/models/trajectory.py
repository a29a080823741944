"""A teacher on its way: the checkpoints of its training, one after another."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from kdcli.follow_recipe import Clock
from kdcli.models.tap import Tap
from kdcli.models.teachers import Frozen
from kdcli.records import Batch, Outputs


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
    place = -(-step * kept[-1] // total) if clock == "progress" else step
    return kept[min(bisect_left(kept, place), len(kept) - 1)]
