"""Small learned modules that methods, models and schemes share."""

from itertools import pairwise

from torch import Tensor, nn

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import About


class Regressor(nn.Module):
    """A student's map in its teacher's channels: 1x1 convolution, batch norm, and a ReLU where the
    teacher's map is never negative (a ReLU could not reach what is). RepDistiller's ConvReg changes
    the grid as well; here both are on one already."""

    def __init__(self, student: int, teacher: int, rectified: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(student, teacher, 1, bias=False)
        self.norm = nn.BatchNorm2d(teacher)
        self.activation = nn.ReLU() if rectified else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.activation(self.norm(self.convolution(features)))
        return out


def regressor(student: Tensor, teacher: Tensor, about: About) -> nn.Module:
    """What brings a student's (B, C, h, w) map to its teacher's channels, after both stand on the
    same grid; by `match.adapter`: `auto` passes a map on directly where channels and grid agree,
    `conv` never does, `none` always does.

    Raises:
        UnmetNeeds: `none`, and the channels differ.
    """
    mine, theirs = student.shape[1], teacher.shape[1]
    if about.adapter == "none" and mine != theirs:
        raise UnmetNeeds(
            f"match.adapter is none, and a stage of {mine} channels cannot be compared with one "
            f"of {theirs}",
            "--set match.adapter=auto",
        )
    direct = about.adapter == "none" or student.shape[1:] == teacher.shape[1:]
    if direct and about.adapter != "conv":
        return nn.Identity()
    return Regressor(mine, theirs, rectified=bool(teacher.min() >= 0))


def regressors(
    student: tuple[Tensor, ...], teacher: tuple[Tensor, ...], about: About
) -> nn.ModuleList:
    """One `regressor` per pair of features."""
    return nn.ModuleList(regressor(s, t, about) for s, t in zip(student, teacher, strict=True))


class Projections(nn.Module):
    """A student's and a teacher's embedding, (B, D) and (B, E), in one space: a linear layer each.

    The teacher's layer learns as the student's does; the teacher itself does not.
    """

    def __init__(self, student: int, teacher: int, width: int) -> None:
        super().__init__()
        self.student = nn.Linear(student, width)
        self.teacher = nn.Linear(teacher, width)

    def forward(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        return self.student(student), self.teacher(teacher)


def downsampling(channels: int, width: int, halvings: int) -> list[nn.Module]:
    """A `separable_block` for each halving of the grid of a (B, channels, h, w) map: each doubles
    the channels, the last one gives `width`."""
    widths = [*(channels * 2**i for i in range(halvings)), width]
    return [separable_block(inner, outer) for inner, outer in pairwise(widths)]


def separable_block(inner: int, outer: int, stride: int = 2) -> nn.Module:
    """Two separable convolutions, of which the first has the stride: (B, inner, h, w) to (B, outer,
    h / stride, w / stride). What the codes of OFA-KD and of Be Your Own Teacher call SepConv."""
    return nn.Sequential(*_separable(inner, inner, stride), *_separable(inner, outer, stride=1))


def _separable(inner: int, outer: int, stride: int) -> list[nn.Module]:
    """Depthwise 3x3, pointwise, batch norm, ReLU."""
    return [
        nn.Conv2d(inner, inner, 3, stride, padding=1, groups=inner, bias=False),
        nn.Conv2d(inner, outer, 1, bias=False),
        nn.BatchNorm2d(outer),
        nn.ReLU(),
    ]
