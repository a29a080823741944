"""Hardly better than chance: a teacher ends a distillation, all others are warned of."""

from pathlib import Path

import pytest
from house import DISTILL, STUDENT, TEACHER, House, kd, kd_ok

from kdcli.training import teachers
from kdcli.training.teachers import needs_good_teachers


@pytest.fixture(autouse=True)
def _as_outside_of_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `thrift.hurry`."""
    monkeypatch.setattr(teachers, "needs_good_teachers", needs_good_teachers)


@pytest.fixture
def one_step(tmp_path: Path) -> str:
    """A recipe that hardly trains."""
    recipe = tmp_path / "one_step.yaml"
    recipe.write_text("scheme: alone\ntask: {weight: 1.0}\ntrain: {epochs: 1, lr: 1.0e-9}\n")
    return str(recipe)


def test_a_teacher_near_chance_ends_it_before_its_student_trains(
    empty_house: House, pictures: Path, one_step: str
) -> None:
    line = (*DISTILL, "--data", pictures, "--set", "train.epochs=1")
    line = (*line, "--set", f"teacher.recipe={one_step}")
    answer = kd(*line)
    assert answer.code == 3
    assert "would learn next to nothing" in answer.err
    assert "teacher.allow_weak=true" in answer.err
    assert not empty_house.runs("kd-")
    answer = kd_ok(*line, "--set", "teacher.allow_weak=true")
    assert "has little to learn from it" in answer.err


def test_two_teachers_end_it_only_together(
    empty_house: House, pictures: Path, one_step: str
) -> None:
    both = (*DISTILL, "--teacher", "test_vit", "--data", pictures, "--set", "train.epochs=1")
    answer = kd(*both, "--set", f"teacher.recipe={one_step}")
    assert answer.code == 3
    assert "2 teachers: balanced validation accuracy" in answer.err


def test_training_alone_warns(empty_house: House, pictures: Path, one_step: str) -> None:
    said = kd_ok("train", TEACHER, "--recipe", one_step, "--data", pictures).err
    assert f"warning: teacher {TEACHER}: balanced validation accuracy" in said
    assert "12 validation images, after 84 training images" in said


@pytest.mark.parametrize(
    ("recipe", "who"),
    [
        ("mutual", "student"),
        ("mutual", "peer.1"),
        pytest.param("born_again", "student", marks=pytest.mark.slow),
    ],
)
def test_peers_and_generations_are_warned_of(
    recipe: str, who: str, empty_house: House, pictures: Path
) -> None:
    line = ("distill", "--student", STUDENT, "--recipe", recipe, "--data", pictures)
    said = kd_ok(*line, "--set", "train.epochs=1", "--set", "train.lr=1e-9").err
    assert f"warning: {who}" in said
