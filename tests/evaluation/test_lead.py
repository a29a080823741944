"""How far a teacher is ahead of its student's baseline, before the student is trained."""

from pathlib import Path

import numpy as np
import pytest
from house import SMALL_TEACHER, STUDENT, TEACHER, House, kd_ok

from kdcli.evaluation.lead import lead


def test_ahead_or_not_and_what_would_help() -> None:
    alone = np.arange(100) < 70
    better = lead("teacher big", "small", np.arange(100) < 80, alone)
    assert (better.behind, better.teacher_accuracy, better.baseline_accuracy) == (False, 0.8, 0.7)
    assert better.words == (
        "teacher big is ahead of its student's baseline, small trained without it: 80.0 and 70.0% "
        "of 100 validation images (+10.0 points, 95% CI +3.7 to +17.6)"
    )
    level = lead("teacher big", "small", alone, alone)
    assert level.behind
    assert "not ahead of" in level.words
    one_more = lead("teacher big", "small", np.arange(100) < 71, alone)
    assert "cannot be told from" in one_more.words
    assert "what would help: a teacher that is pretrained" in level.words


@pytest.mark.slow
def test_the_baseline_is_trained_first_and_never_again(empty_house: House, pictures: Path) -> None:
    """Its teacher has learnt for one epoch, and stands at what the baseline has or below."""
    line = ("distill", "--teacher", TEACHER, "--student", STUDENT, "--data", str(pictures))
    line += ("--set", f"teacher.recipe={SMALL_TEACHER}", "--set", "teacher.allow_weak=true")
    first = kd_ok(*line, "--set", "train.epochs=2", "--baseline", "first").err
    assert first.index("the baseline first") < first.index("its student's baseline")
    assert first.index("its student's baseline") < first.index(f"student {STUDENT}: ")
    baseline = empty_house.run("baseline-")
    written = (baseline / "model.pt").stat().st_mtime_ns
    # another recipe has the same baseline: it is told of unasked
    other = kd_ok(*line, "--set", "train.epochs=2", "--set", "methods.kd.temperature=2").err
    assert "its student's baseline" in other
    assert kd_ok("evaluate", "--json").document
    assert (baseline / "model.pt").stat().st_mtime_ns == written
