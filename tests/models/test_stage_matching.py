"""Which stage answers which: by stride, by depth, or by name."""

import pytest
import torch

from kdcli.core.errors import UsageError
from kdcli.core.records import Outputs, Pair
from kdcli.models.stage_matching import Correspondence, match_stages, milestones
from kdcli.models.stages import Stage, StageTable


def shrinking(*strides, size=224):
    """A model whose maps shrink; channels tell the stages apart."""
    stages = tuple(
        Stage(i, 10 + i, int(size / stride), int(size / stride), stride)
        for i, stride in enumerate(strides)
    )
    return StageTable("cnn", size, stages, columnar=False)


def columnar(depth, size=224):
    stages = tuple(Stage(i, 192, 14, 14, size / 14) for i in range(depth))
    return StageTable("vit", size, stages, columnar=True)


def indices(student, teacher, wanted=None):
    return [(s.index, t.index) for s, t in match_stages(student, teacher, wanted)]


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        ((2, 4, 8, 16, 32), (2, 4, 8, 16, 32), [(1, 1), (2, 2), (3, 3), (4, 4)]),  # no stem
        ((4, 8, 16, 32), (8, 16), [(1, 0), (2, 1)]),
        ((4, 8, 16, 32), (16, 32, 64), [(2, 0), (3, 1)]),  # exact ones, not one more of doubles
        ((2, 4.27, 8.5, 17.6, 37), (4, 8, 16, 32), [(1, 0), (2, 1), (3, 2), (4, 3)]),
        ((4, 6, 8), (4, 8), [(0, 0), (2, 1)]),  # the nearer of two
        ((4, 16), (8, 32), [(0, 0), (1, 1)]),  # none near: from the deepest
        ((4, 8), (16, 32, 64), [(0, 1), (1, 2)]),
        ((1, 2), (4, 8, 16, 32), [(0, 2), (1, 3)]),  # all fine ones stay where no two others are
    ],
)
def test_by_stride(student, teacher, expected):
    assert indices(shrinking(*student), shrinking(*teacher)) == expected


def test_each_way_round_the_same():
    cnn, other = shrinking(4, 8, 16, 32), shrinking(8, 16, 32)
    assert indices(cnn, other) == [(t, s) for s, t in indices(other, cnn)]
    assert indices(cnn, columnar(12)) == [(t, s) for s, t in indices(columnar(12), cnn)]


def test_strides_count_not_grids():
    small, large = shrinking(4, 8, 16, size=32), shrinking(4, 8, 16, size=224)
    assert indices(small, large) == [(0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ((4, 8, 16, 32), [(0, 1), (1, 3), (2, 9), (3, 11)]),
        ((8, 16, 32), [(0, 3), (1, 9), (2, 11)]),
        ((4, 6, 8, 16, 32), [(1, 1), (2, 3), (3, 9), (4, 11)]),  # the deepest four
    ],
)
def test_by_depth_where_one_is_columnar(stages, expected):
    assert indices(shrinking(*stages), columnar(12)) == expected


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        (12, 12, [(2, 2), (5, 5), (8, 8), (11, 11)]),
        (4, 24, [(0, 5), (1, 11), (2, 17), (3, 23)]),
        (2, 12, [(0, 5), (1, 11)]),  # a block answers once
    ],
)
def test_by_quarters_where_both_are(student, teacher, expected):
    assert indices(columnar(student), columnar(teacher)) == expected


def test_by_name():
    cnn = shrinking(2, 4, 8, 16)
    assert indices(cnn, cnn, [[0, 1], [2, 3]]) == [(0, 1), (2, 3)]
    with pytest.raises(UsageError, match="no stage 7") as raised:
        indices(cnn, cnn, [[1, 7]])
    assert "0, 1, 2, 3" in raised.value.fix
    with pytest.raises(UsageError, match="depth order"):
        indices(cnn, cnn, [[2, 2], [1, 1]])


def test_milestones_of_one_model():
    assert [s.index for s in milestones(shrinking(2, 4, 8, 16, 32))] == [1, 2, 3, 4]
    assert [s.index for s in milestones(columnar(12))] == [1, 3, 9, 11]
    assert [s.index for s in milestones(columnar(1))] == [0]


def test_features_answer_each_other():
    def outputs(by, count):
        maps = tuple(torch.full((1, 1, 1, 1), float(i)) for i in range(count))
        return Outputs(by, torch.zeros(1, 2), maps, preactivations=tuple(-m for m in maps))

    pair = Correspondence(((0, 1), (2, 3))).align(Pair(outputs("student", 3), outputs("t", 4)))
    assert [float(f) for f in pair.student.features] == [0, 2]
    assert [float(f) for f in pair.teacher.features] == [1, 3]
    assert [float(f) for f in pair.teacher.preactivations] == [-1, -3]
