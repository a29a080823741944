"""What moves the weights, and how fast: parameter groups, optimiser, schedule.

Imported from where timm defines them: its packages hand on `create_optimizer_v2` and the like
without saying so (`__all__`), which mypy refuses.
"""

from typing import Any

import torch
from timm.optim._optim_factory import create_optimizer_v2
from timm.scheduler.cosine_lr import CosineLRScheduler
from torch import Tensor

from kdcli.recipe.train import Train
from kdcli.recipe.weight import span_epochs
from kdcli.training.distiller import Distiller


def build_optimizer(distiller: Distiller, train: Train) -> torch.optim.Optimizer:
    """AdamW or SGD (Nesterov momentum 0.9) over everything that learns."""
    groups = param_groups(distiller, train.weight_decay, float(train.trunk_lr))
    # all parameters in one kernel: a step of resnet18 takes 7 ms in place of 34 (CPU, two threads)
    optimizer: torch.optim.Optimizer = create_optimizer_v2(
        groups, opt=train.optimizer, lr=float(train.lr), fused=True
    )
    optimizer.register_step_pre_hook(_alike_in_memory)
    return optimizer


def _alike_in_memory(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """On a processor the fused kernels walk through parameter, gradient and moments side by side,
    and do not look whether their strides are the same. Autograd sees to that, for parameters of
    most shapes; here, for all."""
    for group in optimizer.param_groups:
        for one in group["params"]:
            if one.grad is not None:
                one.grad = _like(one, one.grad)
            state = optimizer.state.get(one, {})
            moments = [k for k, v in state.items() if torch.is_tensor(v) and v.dim() == one.dim()]
            state |= {k: _like(one, state[k]) for k in moments}


def _like(parameter: Tensor, other: Tensor) -> Tensor:
    if other.stride() == parameter.stride():
        return other
    return torch.empty_like(parameter).copy_(other)


def param_groups(
    distiller: Distiller, weight_decay: float, trunk_lr: float
) -> list[dict[str, Any]]:
    """No decay for biases, norms and what a model exempts itself; `trunk_lr` scales the trunks.

    Of all that learns, parts and adapters too. timm's own grouping (`param_groups_weight_decay`)
    has the same rule, by dimensions, but knows no second rate. The order of groups is that of the
    parameters, so that a resume state finds its own again.
    """
    exempt, trunk = distiller.no_weight_decay(), distiller.trunk()
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in distiller.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and name not in exempt
            key = (weight_decay if decays else 0.0, trunk_lr if name in trunk else 1.0)
            groups.setdefault(key, []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, "lr_scale": scale}  # scale is timm's key
        for (decay, scale), parameters in groups.items()
    ]


def build_schedule(optimizer: Any, train: Train, steps_per_epoch: int) -> CosineLRScheduler:
    """Per step: linear warm-up, then cosine down to zero behind the last step.

    A function of the number of the step, counted from 1: nothing of it is in the resume state.
    """
    total = int(train.epochs) * steps_per_epoch
    warmup = span_epochs(train.warmup, int(train.epochs)) if train.warmup else 0.0
    steps = min(round(warmup * steps_per_epoch), total - 1)
    return CosineLRScheduler(
        optimizer,
        t_initial=total - steps + 1,  # one more, else the last step's rate would be 0
        warmup_t=steps,
        warmup_prefix=True,  # else timm cuts the cosine's first part off
        t_in_epochs=False,
    )
