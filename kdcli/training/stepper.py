"""What one training takes its steps with: of a student, and of a teacher that learns beside it."""

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from kdcli.core.records import Batch
from kdcli.data.order import hashes
from kdcli.recipe.train import Train
from kdcli.training.devices import accelerator
from kdcli.training.distiller import Distiller
from kdcli.training.gradient_shares import Shares
from kdcli.training.losses import Losses, mean_losses
from kdcli.training.memory import Parts
from kdcli.training.not_finite import bad_gradient, bad_loss
from kdcli.training.optimizer import build_optimizer, build_schedule
from kdcli.training.processes.batch_norms import with_batch_norms
from kdcli.training.processes.exchange import current, with_buffers_of_the_first


class Stepper:
    """A distiller, its optimiser and schedule, and the moving average where `train` wants one.

    Everything that is not in its state dict is a function of the step's number: the rate, the seed
    of dropout, the decay of the average (timm's warm-up: 0.95 after 100 steps, 0.99 after 1,000,
    until it comes to `train.ema`).
    """

    def __init__(
        self, distiller: Distiller, train: Train, steps_per_epoch: int, may_grow: bool = False
    ) -> None:
        """`may_grow`: batches may pass in more parts than `train` says, where a GPU is full."""
        self._train, self._accelerate, self.model = train, accelerator(), distiller
        # of several processes each averages its gradients with the others'
        alone = current().is_alone
        with_batch_norms(distiller, train)
        with warnings.catch_warnings():  # a newer torch calls one of its arguments otherwise
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            self._shared = self._accelerate.prepare_model(distiller, evaluation_mode=alone)
        self._optimizer = self._accelerate.prepare_optimizer(build_optimizer(distiller, train))
        self._schedule = build_schedule(self._optimizer, train, steps_per_epoch)
        self.parts = Parts(distiller, train.accumulate, may_grow, self._accelerate.device)
        learning, decay = self.model.learning, train.ema
        self._ema = ModelEmaV3(learning, decay=decay, use_warmup=True) if decay else None
        kept = self._ema.module if self._ema else learning
        self.ships: dict[str, nn.Module] = self.model.ships(kept)
        """What model.pt may hold, by name; of the moving average, where there is one."""
        self.beside: dict[str, nn.Module] = self.model.beside(kept)

    @property
    def lr(self) -> float:
        """Of the step before, in the first group; others may have a share of it (`lr_scale`)."""
        return float(self._optimizer.param_groups[0]["lr"])

    def step(self, batch: Batch, seed: int, step: int, shares: Shares | None = None) -> Losses:
        """One step of the optimiser, over the parts of the batch one after another.

        `step` counts from 0; the shared generator is seeded from it and `seed`.

        Raises:
            NotFinite: a loss or the gradient is not a number; before the step, naming the term.
        """
        self._schedule.step_update(step + 1)  # timm's warm-up has a rate of 0 at 0
        rank = current().rank
        drawn = int(hashes(seed, step, *([rank] if rank else []))) & (2**63 - 1)
        there = batch.to(self._accelerate.device)

        def work(count: int) -> list[tuple[float, Losses]]:
            # dropout and the like draw from here, on every device: no generator's state is kept
            torch.manual_seed(drawn)
            return self._gradients(there, count, step, shares)

        parts = self.parts.attempt(work, len(batch.labels))
        self._clip()
        self._optimizer.step()
        if self._ema:
            self._ema.update(self.model.learning, step=step)
        return mean_losses(parts)

    def _gradients(
        self, batch: Batch, count: int, step: int, shares: Shares | None
    ) -> list[tuple[float, Losses]]:
        parts: list[tuple[float, Losses]] = []
        pending = [*batch.parts(count)]
        for i, (share, part) in enumerate(pending, 1):
            with self._averaged_if(i == len(pending)):
                losses: Losses = self._shared(part)
                if not torch.isfinite(losses.total):
                    raise bad_loss(losses, self.model, part)
                if not parts:  # as late as can be: the new gradients find the room of the old ones
                    self._optimizer.zero_grad(set_to_none=True)
                    if shares:
                        shares.measure(step, losses)
                self._accelerate.backward(losses.total * share if share != 1 else losses.total)
            parts.append((share, losses))
        return parts

    def state_dict(self) -> dict[str, Any]:
        """What the next step depends on, but for its number; tensors and numbers alone, which
        `torch.load(weights_only=True)` reads."""
        return {name: part.state_dict() for name, part in self._stateful().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there.

        Raises:
            KeyError: it is none of this training.
        """
        for name, part in self._stateful().items():
            part.load_state_dict(state[name])

    def settle(self) -> None:
        """The end of an epoch: what is not learnt is the same in all processes from here on."""
        with_buffers_of_the_first(self.model, *([self._ema] if self._ema else []))

    def _averaged_if(self, last: bool) -> AbstractContextManager[None]:
        """Gradients go to the other processes once in a step, with those of the last part."""
        found: AbstractContextManager[None] = (
            nullcontext() if last else self._accelerate.no_sync(self._shared)
        )
        return found

    def _stateful(self) -> dict[str, Any]:
        own = {"model": self.model, "optimizer": self._optimizer}
        return own | ({"ema": self._ema.module} if self._ema else {})

    def _clip(self) -> None:
        """Looked at before it is clipped, which would spread what is no number over all weights."""
        there = [one for one in self.model.parameters() if one.grad is not None]
        norm = get_total_norm([one.grad for one in there if one.grad is not None])
        if not torch.isfinite(norm):
            raise bad_gradient(self.model)
        if self._train.clip is not None:
            clip_grads_with_norm_(there, self._train.clip, norm)
