"""What a recipe asks of the training of photographs and rare classes, through the commands."""

from pathlib import Path

import numpy as np
import pytest
import torch
from house import STUDENT, TEACHER, House, kd, kd_ok, on_pictures, weights_of
from PIL import Image

from kdcli.core.progress import Silent
from kdcli.data.defaults import fitted
from kdcli.data.source import Schedule
from kdcli.models.build import build, plan, seeded
from kdcli.plan import defaults
from kdcli.plan.data import open_data
from kdcli.plan.defaults import auto_values, resolve_recipe
from kdcli.recipe.edit import update
from kdcli.recipe.schema import Recipe
from kdcli.runs.run import Run

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody's weights of the teacher, for a thousand other classes."""
    with seeded(3, "somebody"):
        module = build(plan(TEACHER, 1000, 32, None))
    path = tmp_path_factory.mktemp("given") / "somebody's weights.pth"
    torch.save(module.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 12 images above 64 pixels."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name in ("hell", "dunkel"):
        (folder / name).mkdir()
        for i in range(12):
            pixels = rng.integers(0, 90, (80, 100, 3)) + (120 if name == "hell" else 0)
            Image.fromarray(pixels.astype("uint8")).save(folder / name / f"{i}.png")
    return folder


# Head only ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_only_the_classifier_of_a_given_trunk_is_fitted(
    empty_house: House, pictures: Path, weights: Path
) -> None:
    answer = kd_ok("train", f"{TEACHER}={weights}", "--data", pictures, "--set", "train.tune=head")
    assert "its classifier is made anew" in answer.err
    run = Run(empty_house.run("teacher-"))
    given, fitted = torch.load(weights, weights_only=True), weights_of(run.model)
    changed = {key for key in fitted if not torch.equal(fitted[key], given[key])}
    assert changed == {"head.fc.weight", "head.fc.bias"} or changed == {"fc.weight", "fc.bias"}
    assert run.outcome()["val_accuracy"] > 0.8, "a random trunk tells zeros, ones and twos apart"


@pytest.mark.slow
def test_a_teacher_may_be_fitted_at_its_head(
    empty_house: House, pictures: Path, weights: Path
) -> None:
    kd_ok(
        *("distill", "--teacher", f"{TEACHER}={weights}", "--student", STUDENT),
        *("--data", pictures, "--set", "train.epochs=1", "--set", "teacher.tune=head"),
    )
    assert Run(empty_house.teacher).spec.recipe.train.tune == "head"
    assert Run(empty_house.student).spec.recipe.train.tune == "all"
    kd_ok("evaluate")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("train", TEACHER, "--set", "train.tune=head"), ("random here", "tune=all")),
        (
            ("distill", "--teacher", TEACHER, "--student", STUDENT, "--set", "train.tune=head"),
            ("have a say", "teacher.tune=head"),
        ),
        (
            ("train", TEACHER, "--set", "train.accumulate=20", "--set", "train.batch_size=32"),
            ("less than two images", "train.accumulate=16 or less"),
        ),
        (
            ("train", TEACHER, "--set", "data.randaugment=strong"),
            ("randaugment", "rand-m9"),
        ),
    ],
)
def test_settings_that_contradict_each_other(
    line: tuple[str, ...], words: tuple[str, ...], empty_house: House, pictures: Path
) -> None:
    answer = kd(*line, "--data", pictures)
    assert answer.code == 2
    for word in words:
        assert word in answer.err
    assert not empty_house.path.exists()


def test_a_trunk_sees_each_image_once_so_none_is_varied(
    empty_house: House, pictures: Path, weights: Path
) -> None:
    line = ("train", f"{TEACHER}={weights}", "--data", pictures, "--set", "train.tune=head")
    answer = kd(*line, "--set", "train.mixup=0.2")
    assert answer.code == 2
    assert "cannot be varied" in answer.err


# Everything at once ------------------------------------------------------------------------------


@pytest.mark.slow
def test_all_that_a_recipe_can_ask_for_works_together(empty_house: House, pictures: Path) -> None:
    settings = (
        *("train.mixup=0.2", "train.cutmix=1.0", "train.ema=0.9", "train.accumulate=2"),
        *("data.randaugment=rand-m5-n1", "train.balance=loss", "train.epochs=2"),
        "train.select=balanced_accuracy",
    )
    sets = [word for setting in settings for word in ("--set", setting)]
    kd_ok(*on_pictures(pictures), *sets)
    lines = Run(empty_house.student).lines()
    assert [line["epoch"] for line in lines[:-1]] == [1, 2]
    assert all("val_balanced_accuracy" in line for line in lines)


@pytest.mark.slow
def test_the_baseline_is_balanced_as_its_student_is(empty_house: House, pictures: Path) -> None:
    kd_ok(*on_pictures(pictures), "--set", "train.balance=sampler", "--set", "train.epochs=1")
    kd_ok("evaluate")
    assert Run(empty_house.run("baseline-")).spec.recipe.train.balance == "sampler"


# What auto means for photographs -----------------------------------------------------------------


def _auto(photos: Path, model: str, teacher: str | None = None, **values: object) -> dict:
    source, _ = open_data(str(photos), Silent())
    recipe = update(Recipe(), dict(values))
    return auto_values(recipe, model, (teacher,) if teacher else (), source, CPU)


def test_photographs_begin_pretrained_at_the_model_s_own_size(photos: Path) -> None:
    found = _auto(photos, "mobilenetv3_small_100", "resnet101")
    assert found["data.image_size"] == 224
    assert found["data.augment"] == "crop_flip"
    assert found["student.pretrained"] is True
    assert found["teacher.pretrained"] is True
    assert found["train.trunk_lr"] == 0.1
    assert found["train.patience"] is None, "on so few validation images it would be luck"
    assert _auto(photos, "test_vit")["data.image_size"] == 160


def test_photographs_are_evaluated_as_timm_does(photos: Path, pictures: Path) -> None:
    def shown(data: Path, model: str, **values: object) -> object:
        return _auto(data, model, **{f"data.{key}": one for key, one in values.items()})[
            "data.crop_pct"
        ]

    assert shown(photos, "mobilenetv3_small_100") == 0.875
    assert shown(photos, "resnet50.a1_in1k") == 0.95
    assert shown(photos, "resnet50.a1_in1k", image_size=288) == 1.0, "timm's size of tests"
    assert shown(photos, "resnet50.a1_in1k", augment="shift") == 1.0, "trained on all of it"
    assert shown(pictures, "mobilenetv3_small_100", augment="crop") == 1.0, "edges count"


def test_from_random_weights_the_trunk_learns_as_fast_as_the_rest(photos: Path) -> None:
    found = _auto(photos, "resnet18", **{"student.pretrained": False})
    assert found["train.trunk_lr"] == 1.0


def test_models_are_compiled_where_steps_are_many_and_a_gpu_takes_them(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defaults, "resolve_precision", lambda *_: "fp32")
    source, _ = open_data(str(pictures), Silent())

    def compiled(device: str, epochs: int, *teachers: str) -> bool:
        recipe = update(Recipe(), {"train.epochs": epochs, "train.batch_size": 42})
        found = auto_values(recipe, STUDENT, teachers, source, torch.device(device))
        return bool(found["train.compile"])

    assert len(source.train) == 84  # two steps an epoch
    assert not compiled("cuda", 2_499)
    assert compiled("cuda", 2_500)
    assert not compiled("cuda", 2_500, TEACHER)
    assert compiled("cuda", 5_000, TEACHER)
    assert not compiled("cpu", 100_000)


def test_a_name_with_a_tag_asks_for_its_weights(pictures: Path) -> None:
    assert _auto(pictures, "resnet18")["student.pretrained"] is False
    found = _auto(pictures, "resnet18.a1_in1k")
    assert found["student.pretrained"] is True
    assert found["train.trunk_lr"] == 0.1


def test_weights_that_cannot_be_fetched_are_told_in_seconds(
    empty_house: House, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    answer = kd("distill", "--teacher", TEACHER, "--student", STUDENT, "--data", photos)
    assert answer.code == 3
    for word in ("--teacher NAME=FILE", "teacher.pretrained=false", "cache"):
        assert word in answer.err
    assert not empty_house.path.exists()


# What auto means for few images ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "validated", "epochs", "batch", "patience"),
    [
        (256, 60, 20, 32, 5),
        (100_000, 9, 20, 32, None),
        (200, 40, 26, 16, 7),
        (63, 9, 82, 8, None),
        (63, 40, 82, 8, 21),
        (10, 2, 160, 8, None),
    ],
)
def test_few_images_are_seen_as_often_as_eight_batches_are(
    images: int, validated: int, epochs: int, batch: int, patience: int | None
) -> None:
    found = fitted(Schedule(20, 32, 1e-3, 5), images, validated)
    assert (found.epochs, found.batch_size, found.patience) == (epochs, batch, patience)
    assert found.lr == pytest.approx(1e-3 * (batch / 32) ** 0.5)


def test_a_share_of_the_images_counts_and_what_a_person_sets_stays(pictures: Path) -> None:
    all_of_them, half = _auto(pictures, STUDENT), _auto(pictures, STUDENT, **{"data.subset": 0.5})
    assert half["train.epochs"] > all_of_them["train.epochs"] > 20
    source, _ = open_data(str(pictures), Silent())
    recipe = update(Recipe(), {"train.batch_size": 32, "train.epochs": 3})
    recipe = resolve_recipe(recipe, STUDENT, (), source, CPU)
    assert (recipe.train.batch_size, recipe.train.epochs) == (32, 3)
