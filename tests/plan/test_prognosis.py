"""Will a teacher pay? From a lead, from short trainings, from what is there."""

from dataclasses import replace
from pathlib import Path

import pytest
from house import SMALL_TEACHER, STUDENT, TEACHER, House, kd, kd_ok, on_pictures

from kdcli.plan import signs as measuring
from kdcli.plan.prognosis import Signs, prognosis
from kdcli.plan.trials import extrapolated

SIGNS = Signs(
    teacher=0.90,
    alone=0.80,
    labels_per_class=30,
    further=20_000,
    labelled=300,
    validation_images=1_000,
    test_images=10_000,
)
WHO = ("--teacher", TEACHER, "--student", STUDENT)


def test_errors_fall_as_a_power_of_the_images_shown_and_never_rise() -> None:
    # 0.4, 0.32 at twice the images: 0.32 * 0.8 at four times, 0.8 of that at eight times
    assert extrapolated(0.6, 0.68, 2, 2) == pytest.approx(1 - 0.32 * 0.8)
    assert extrapolated(0.6, 0.68, 2, 4) == pytest.approx(1 - 0.32 * 0.8**2)
    assert extrapolated(0.6, 0.5, 2, 100) == 0.5
    assert extrapolated(0.1, 0.9, 2, 4) == pytest.approx(0.95), "no faster than with the root"
    assert extrapolated(0.6, 1.0, 2, 4) == 1.0


@pytest.mark.parametrize(
    ("changes", "pays"),
    [
        ({}, "yes"),
        ({"teacher": 0.80}, "no"),
        ({"teacher": 0.805}, "no"),
        ({"teacher": 0.82}, "open"),
        ({"test_images": 100}, "no"),
        ({"teacher": 0.83}, "yes"),
        ({"teacher": 0.83, "further": 0}, "open"),
        ({"teacher": None}, "open"),
        ({"validation_images": 3}, "open"),
        ({"teacher": None, "other_classes": True}, "open"),
        ({"teacher": None, "alone": 0.999}, "no"),
    ],
)
def test_a_lead_pays_where_the_share_that_a_student_gains_could_be_shown(
    changes: dict[str, float], pays: str
) -> None:
    assert prognosis(replace(SIGNS, **changes)).pays == pays


def test_in_words() -> None:
    assert prognosis(SIGNS).words == (
        "a teacher will probably pay here, whatever the recipe: it is about 10.0 points ahead of "
        "labels alone, of which a student usually gains 50%, 5.0; the test images can show gains "
        "from 1.3 on"
    )
    early = prognosis(replace(SIGNS, converged=False))
    assert early.pays == "open"
    assert "labels alone had not converged" in early.words
    unheard = prognosis(replace(SIGNS, teacher=None, other_classes=True)).words
    assert unheard.startswith("nobody can tell yet whether a teacher pays here: it has other class")
    assert "what would help: " in prognosis(replace(SIGNS, teacher=0.7)).words


def test_doctor_trains_both_for_a_short_while_and_keeps_nothing(
    empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "SECONDS", 2)
    line = ("doctor", pictures, *WHO, "--set", f"teacher.recipe={SMALL_TEACHER}")
    found = kd_ok(*line, "--set", "train.epochs=1000", "--json").document["prognosis"]
    student, teacher = found["trials"]
    assert (student["model"], teacher["model"]) == (STUDENT, TEACHER)
    assert student["shown"] < student["whole"] == 1000 * 84
    assert student["expected"] >= student["accuracy"]
    assert found["lead"] == pytest.approx(teacher["expected"] - student["expected"])
    assert found["next"].startswith("kd ")
    assert not [path for path in empty_house.path.glob("*") if path.suffix != ".yaml"]


def test_a_dry_run_says_what_finished_runs_tell(small: House, pictures: Path) -> None:
    kd_ok("evaluate", small.student)
    line = (*on_pictures(pictures), "--set", "methods.kd.temperature=2", "--dry-run")
    found = kd_ok(*line, "--json").document["prognosis"]
    assert found["lead"] == found["teacher"] - found["alone"]
    assert found["trials"] == []
    unknown = kd_ok(*line, "--set", "train.epochs=4").out
    assert "12 validation images cannot tell who is ahead" in unknown


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (("doctor", "digits", "--teacher", TEACHER), "needs the data, a teacher and a student"),
        (("doctor", *WHO), "needs the data, a teacher and a student"),
        (("doctor", "digits", "--recipe", "dkd"), "needs the data, a teacher and a student"),
        (("doctor", "digits", *WHO, "--recipe", "together"), "nobody teaches who knew it"),
    ],
)
def test_what_cannot_be_foretold_is_refused(
    line: tuple[str, ...], what: str, empty_house: House
) -> None:
    answer = kd(*line)
    assert answer.code == 2
    assert what in answer.err
