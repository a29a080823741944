"""Each term's share of the gradient that moves what learns, and what to do about odd shares.

Measuring reads the graph that the step's own backward pass goes through afterwards, and draws
nothing at random: the weights come out bit-identical with and without it.
"""

import math
from collections.abc import Mapping, Set
from contextlib import nullcontext, suppress

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from kdcli.training.distiller import Distiller
from kdcli.training.losses import Losses, shares
from kdcli.training.processes.exchange import current, flat_mean

EVERY = 50
"""Steps between two measurements, or an epoch where that is shorter; each costs one backward pass
per term: half a step more for two terms (resnet101 -> mobilenetv3_small_100, 32 pixels, CPU), so
that every 50 steps make 1% of the time."""

LOUD, QUIET = 0.99, 0.001
"""A share above or below which a weight is likely to be a mistake. Not 0.95: the published 0.9
beside 0.1 of the recipe kd comes to 0.93 to 0.96 on digits."""

HEARD = 0.1
"""What the weight that is suggested brings a quiet term to; a loud one comes to an even share.
Places to start looking from, no more: many a method helps most as a tenth."""


_NOTHING: Mapping[str, Tensor] = {}


class Shares:
    """Norms of the weighted terms' gradients, over the learners' parameters alone: what a method
    learns beside the student may be pulled at much harder, and ships nowhere.

    They stay on the device until the epoch ends. A term whose weight is 0 is left out, and where
    fewer than two are left there is nothing to share.
    """

    def __init__(
        self, distiller: Distiller, steps_per_epoch: int, so_far: Mapping[str, Tensor] = _NOTHING
    ) -> None:
        """`so_far` are the sums of an epoch that was stopped within."""
        self._weights = distiller.weights
        self._parameters = [p for p in distiller.learners.parameters() if p.requires_grad]
        self._steps = steps_per_epoch
        # equal parts of an epoch, none shorter than EVERY steps; measured once, in their middle
        self._every = steps_per_epoch // max(1, steps_per_epoch // EVERY)
        self._sums: dict[str, Tensor] = dict(so_far)
        self._told: set[str] = set()
        self.norms: dict[str, float] = {}
        """Of the last epoch that was closed, summed over its measurements."""

    def measure(self, step: int, losses: Losses) -> None:
        """In front of the backward pass; does nothing at most steps."""
        if step % self._steps % self._every != self._every // 2:
            return
        heard = [name for name in losses.terms if losses.weights[name]]
        if len(heard) < 2:
            return
        # a device that is just large enough for the rest; several would wait for each other
        with suppress(torch.OutOfMemoryError) if current().is_alone else nullcontext():
            found = {name: losses.weights[name] * self._norm(losses.terms[name]) for name in heard}
            self._sums |= {name: norm + self._sums.get(name, 0) for name, norm in found.items()}

    def norms_so_far(self) -> dict[str, Tensor]:
        """Of the epoch that is not closed yet."""
        return dict(self._sums)

    def close(self) -> dict[str, dict[str, float]]:
        """The epoch's `share_of_gradient`, for metrics.jsonl: by term, 1 in all.

        Empty where nothing was measured, or nothing but zeros or what is no number.
        """
        self.norms = {name: float(total) for name, total in self._sums.items()}
        self._sums = {}
        return {"share_of_gradient": found} if (found := shares(self.norms)) else {}

    def warnings(self, epochs: int) -> list[str]:
        """What the epoch closed last says of the weights; each term is told of once.

        Shares are judged where every weight has come to where it stays: one on its way elsewhere
        shifts those of all the others.
        """
        # at the training's start, at the start of the epoch just closed, where every ramp has ended
        first, before, last = (self._weights(at) for at in (0, epochs - 1, math.inf))
        ramps = {name for name in self.norms if first[name] != last[name]}
        found = {name: f"{name}: {SILENT}" for name, norm in self.norms.items() if norm == 0}
        if all(before[name] == last[name] for name in self.norms):
            found |= odd(self.norms, before, ramps)
        new = {name: words for name, words in found.items() if name not in self._told}
        self._told |= new.keys()
        return list(new.values())

    def _norm(self, loss: Tensor) -> Tensor:
        """() 0 where nothing that learns had a part in it. The graph is kept, for the step's own
        backward pass, which comes behind."""
        if not loss.requires_grad:
            return torch.zeros_like(loss)
        all_of = torch.autograd.grad(loss, self._parameters, retain_graph=True, allow_unused=True)
        found = [gradient for gradient in all_of if gradient is not None]
        return get_total_norm(found if current().is_alone else [flat_mean(found)])


def odd(
    norms: Mapping[str, float], weights: Mapping[str, float], ramps: Set[str] = frozenset()
) -> dict[str, str]:
    """By term, a share of the gradient that is hardly meant, and the weight that would mend it.

    `ramps` are the terms whose weight has moved before it came to what `weights` says. One remedy
    at a time: where a method drowns the others, its weight is the one to change; where the labels
    do, those of the methods that are hardly heard.
    """
    part = shares(norms)
    loud = {name: 1 / len(part) for name, share in part.items() if LOUD < share < 1}
    quiet = {name: HEARD for name, share in part.items() if 0 < share < QUIET}
    words = {}
    for name, aim in (quiet if quiet and loud.keys() <= {"task"} else loud).items():
        # the share s = g / (g + rest) becomes `aim` for g f, f = aim / (1 - aim) * (1 - s) / s
        factor = aim / (1 - aim) * (1 - part[name]) / part[name]
        setting = f"{_key(name, name in ramps)}={_two_digits(weights[name] * factor)}"
        words[name] = f"{name} is {_odd_share(part[name])}: --set {setting}"
    return words


SILENT = "its gradient is exactly 0, nothing that learns depends on it here"
"""Said also while weights ramp: no weight mends it."""


def _key(name: str, ramp: bool) -> str:
    key = "task.weight" if name == "task" else f"methods.{name}.weight"
    return f"{key}.to" if ramp else key


def _odd_share(share: float) -> str:
    if share > LOUD:
        return f"{share:.1%} of the gradient and drowns the rest; an even share"
    return f"{100 * share:.1g}% of the gradient and hardly heard; about a tenth"


def _two_digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):g}"
