"""The trail that a training leaves for who follows it: its weights after some of its steps."""

from collections.abc import Callable

from torch import Tensor, nn

from kdcli.checkpoint import save_weights
from kdcli.follow_recipe import Checkpoints
from kdcli.runs import Run

Weights = dict[str, Tensor]
Whole = Callable[[Weights], Weights]


class Trail:
    """Writes `step.N.safetensors` into a run's folder: of what would ship, after step N."""

    def __init__(self, run: Run, kept: Checkpoints, total: int, whole: Whole) -> None:
        """`total` steps at most; `whole` gives the weights that are kept timm's own keys."""
        self._run, self._kept, self._whole = run, kept, whole
        self._steps = frozenset(kept.steps(total))

    def after(self, step: int, model: nn.Module) -> None:
        """Keep the weights, if it is one of those steps; from 1 on."""
        if step in self._steps:
            self._write(step, model)

    def last(self, step: int, model: nn.Module) -> None:
        """Keep those of the last step, whenever it came."""
        if step not in self._steps:
            self._write(step, model)

    def _write(self, step: int, model: nn.Module) -> None:
        half = self._kept.precision == "fp16"
        save_weights(self._whole(model.state_dict()), self._run.step(step), half=half)
