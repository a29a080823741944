"""Knowledge review: each level of the student, with all deeper ones, answers the teacher's."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdcli.core.functional import on_grid, same_grid, smaller_grid
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_single_values

Maps = tuple[Tensor, ...]


class ReviewKD(Method):
    """Distilling Knowledge via Knowledge Review (Chen et al.), arXiv:2104.09044.

    Maps are taken behind their activation (the authors': in front of it), and each level on the
    smaller of its two grids. The warm-up, 20 epochs as published, is a schedule of the weight. The
    fusion is learnt whatever `match.adapter` says.
    """

    kind = "feature"
    needs = frozenset({"features", "embedding"})
    default_weight = 5.0
    weight_source = "most of the authors' CIFAR-100 runs (0.6 to 8); ImageNet 1"

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_single_values(_levels(student), _levels(teacher), about)

    def adapter(self, student: Outputs, teacher: Outputs, about: About) -> nn.Module:
        mine, theirs = ([level.shape[1] for level in _levels(o)] for o in (student, teacher))
        return Review(mine, theirs)

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        assert adapter is not None
        theirs = _levels(teacher)
        pairs = zip(_levels(student), theirs, strict=True)
        mine = tuple(on_grid(s, smaller_grid(s, t)) for s, t in pairs)
        return hcl_loss(adapter(mine), theirs)


def _levels(outputs: Outputs) -> Maps:
    """The maps in depth order; the last is the pooled vector, a map of one cell."""
    assert outputs.embedding is not None
    return (*outputs.features, outputs.embedding[:, :, None, None])


class Review(nn.Module):
    """The levels of a student in its teacher's channels, each fused with what is deeper."""

    def __init__(self, student: list[int], teacher: list[int], widest: int = 512) -> None:
        super().__init__()
        middle = min(widest, student[-1])  # as in the authors' code; student[-1]: its embedding
        deepest = len(student) - 1
        self.fusions = nn.ModuleList(
            Fusion(mine, middle, theirs, fuses=i < deepest)
            for i, (mine, theirs) in enumerate(zip(student, teacher, strict=True))
        )

    def forward(self, levels: Maps) -> Maps:
        answers: list[Tensor] = []
        deeper: Tensor | None = None
        for fusion, level in reversed(list(zip(self.fusions, levels, strict=True))):
            answer, deeper = fusion(level, deeper)
            answers.append(answer)
        return tuple(reversed(answers))


class Fusion(nn.Module):
    """Attention-based fusion: two gates per cell mix a level with what the deeper one hands on."""

    def __init__(self, student: int, middle: int, teacher: int, fuses: bool) -> None:
        super().__init__()
        self.inwards = nn.Sequential(
            nn.Conv2d(student, middle, 1, bias=False), nn.BatchNorm2d(middle)
        )
        self.gates = nn.Sequential(nn.Conv2d(2 * middle, 2, 1), nn.Sigmoid()) if fuses else None
        self.outwards = nn.Sequential(
            nn.Conv2d(middle, teacher, 3, padding=1, bias=False), nn.BatchNorm2d(teacher)
        )

    def forward(self, level: Tensor, deeper: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, teacher, h, w), to be compared, and (B, middle, h, w), to be handed on."""
        mixed: Tensor = self.inwards(level)
        if self.gates is not None and deeper is not None:
            deeper = F.interpolate(deeper, mixed.shape[2:], mode="nearest")
            own, other = self.gates(torch.cat([mixed, deeper], 1)).split(1, dim=1)
            mixed = own * mixed + other * deeper
        return self.outwards(mixed), mixed


def hcl_loss(student_maps: Maps, teacher_maps: Maps) -> Tensor:
    """Hierarchical context loss, summed over levels: mean squared differences of the maps, and of
    these averaged down to 4 x 4, 2 x 2 and 1 x 1 cells where that is smaller.

    Maps (B, C, h, w) of equal channels; the larger grid of two is averaged down. Each coarser grid
    weighs half of the one before, and the weights of a level sum to 1. As in the authors' code.
    """
    levels = zip(student_maps, teacher_maps, strict=True)
    return torch.stack([_context(*same_grid(s, t)) for s, t in levels]).sum()


def _context(student: Tensor, teacher: Tensor) -> Tensor:
    total, weights, weight = F.mse_loss(student, teacher), 1.0, 1.0
    for side in (4, 2, 1):
        if side < min(student.shape[2:]):
            weight /= 2
            weights += weight
            grid = side, side
            total = total + weight * F.mse_loss(on_grid(student, grid), on_grid(teacher, grid))
    return total / weights
