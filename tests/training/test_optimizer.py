"""The fused kernels move every parameter as those do that look at strides."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from kdcli.recipe.train import Train
from kdcli.training.optimizer import build_optimizer


class Odd(nn.Module):
    """Parameters that lie in memory in one way, and their gradients in another."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.last = nn.Parameter(torch.randn(8, 4, 3, 3).to(memory_format=torch.channels_last))
        self.first = nn.Parameter(torch.randn(8, 4, 3, 3))
        self.turned = nn.Parameter(torch.randn(5, 3).t())
        self.row = nn.Parameter(torch.randn(7))
        self.unused = nn.Parameter(torch.randn(2))

    def no_weight_decay(self) -> set[str]:
        return set()

    trunk = no_weight_decay

    def taught(self, step: int) -> None:
        torch.manual_seed(step)
        for one in (self.last, self.first, self.turned, self.row):
            one.grad = torch.randn(one.shape)
        self.first.grad = self.first.grad.to(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_memory_layouts_do_not_matter(kind: str) -> None:
    train = Train(optimizer=kind, lr=0.01, weight_decay=0.1, trunk_lr=1.0)
    odd = Odd()
    plain = deepcopy(odd)
    for module in (odd, plain):
        module.optimizer = build_optimizer(module, train)
    for group in plain.optimizer.param_groups:
        group["fused"] = False
    for step in range(3):
        for module in (odd, plain):
            module.taught(step)
            module.optimizer.step()
        if step == 1:  # as a resumed training has its moments
            state = deepcopy(odd.optimizer.state_dict())
            for moments in state["state"].values():
                moments |= {k: v.contiguous() for k, v in moments.items() if v is not None}
            odd.optimizer.load_state_dict(state)
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(odd.get_parameter(name), parameter, rtol=1e-6, atol=1e-6)
