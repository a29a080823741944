"""The format: spans, weights that move, and recipes that are changed without being touched."""

import pytest
from pydantic import ValidationError

from kdcli.recipe.data import Data, Pool
from kdcli.recipe.edit import dump, fill_auto, get, put, update
from kdcli.recipe.schema import MethodUse, Recipe, Task
from kdcli.recipe.train import Train
from kdcli.recipe.weight import Ramp, span_epochs, weight_at

AUTO = {
    "data.image_size": 32,
    "data.augment": "shift",
    "data.crop_pct": 1.0,
    "train.epochs": 20,
    "train.epoch_images": 2000,
    "train.batch_size": 32,
    "train.lr": 3e-3,
    "train.patience": None,
    "train.trunk_lr": 0.1,
    "train.compile": False,
    "student.pretrained": False,
    "student.precision": "fp32",
    "teacher.pretrained": True,
    "teacher.precision": "bf16",
    "teacher.views": 20,
}


def flat(raw, path=""):
    found = {}
    for key, value in raw.items():
        here = f"{path}.{key}".lstrip(".")
        found |= flat(value, here) if isinstance(value, dict) and value else {here: value}
    return found


def ramp(start="0%", over="50%", first=0.0, last=1.0):
    return Ramp.model_validate({"from": first, "to": last, "over": over, "start": start})


@pytest.mark.parametrize(
    ("span", "epochs", "expected"),
    [
        ("5%", 40, 2.0),
        ("0%", 40, 0.0),
        ("100%", 7, 7.0),
        ("12.5%", 8, 1.0),
        ("20 epochs", 7, 20.0),
        ("1 epoch", 7, 1.0),
        ("1.5 epochs", 7, 1.5),
        ("20epochs", 7, 20.0),
        ("50 %", 10, 5.0),
    ],
)
def test_a_span_carries_its_unit(span, epochs, expected):
    assert span_epochs(span, epochs) == expected


@pytest.mark.parametrize(
    "span", ["5", "five %", "-5%", "5 steps", "5% ", " 5%", "%", "", "1e1%", "5  epochs", "5%\n"]
)
def test_a_span_without_sense_is_refused(span):
    with pytest.raises(ValidationError, match="expects a span such as"):
        Train(warmup=span)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [(0, 0.0), (0.5, 0.1), (2.5, 0.5), (5, 1.0), (7, 1.0), (10, 1.0)],
)
def test_a_ramp_moves_in_a_straight_line_and_stays(epoch, expected):
    assert ramp(over="50%").at(epoch, 10) == pytest.approx(expected)


def test_a_ramp_waits_for_its_start():
    late = ramp(start="2 epochs", over="4 epochs", first=0.9, last=0.1)
    assert [late.at(e, 10) for e in (0, 2, 4, 6, 9)] == pytest.approx([0.9, 0.9, 0.5, 0.1, 0.1])


def test_a_ramp_over_nothing_is_a_switch():
    switch = ramp(start="5 epochs", over="0 epochs", first=0.2, last=0.8)
    assert [switch.at(e, 10) for e in (4.99, 5.0, 6.0)] == pytest.approx([0.2, 0.8, 0.8])


def test_a_ramp_longer_than_the_training_does_not_arrive():
    assert ramp(over="40 epochs").at(10, 10) == pytest.approx(0.25)


def test_a_gaussian_ramp_begins_slowly():
    slow = Ramp.model_validate({"from": 0.0, "to": 1.0, "over": "80 epochs", "shape": "gaussian"})
    assert slow.at(20, 300) == pytest.approx(0.0600546679, abs=1e-10)
    assert [slow.at(epoch, 300) for epoch in (80, 81, 300)] == [1.0, 1.0, 1.0]
    late = slow.model_copy(update={"from_": 0.5, "to": 0.1, "start": "10 epochs"})
    assert late.at(9.9, 300) == 0.5
    assert late.at(30, 300) == pytest.approx(0.5 - 0.4 * 0.0600546679)


@pytest.mark.parametrize(("epochs", "expected"), [(10, 0.5), (20, 0.25), (5, 1.0)])
def test_percent_follow_the_training_and_epochs_do_not(epochs, expected):
    assert weight_at(ramp(over="10 epochs"), 5, epochs) == pytest.approx(0.5)
    assert weight_at(ramp(over="100%"), 5, epochs) == pytest.approx(expected)


def test_a_plain_weight_never_moves():
    assert {weight_at(0.3, epoch, 10) for epoch in (0, 3.7, 10)} == {0.3}


@pytest.mark.parametrize(
    "wrong", [{"to": -1.0}, {"from": float("inf")}, {"over": 5}, {"upto": 1}, {"shape": "cosine"}]
)
def test_a_ramp_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Ramp.model_validate({"from": 0.0, "to": 1.0, "over": "5%"} | wrong)


def test_the_schema_defaults():
    recipe = Recipe()
    assert (recipe.scheme.name, recipe.methods, recipe.who) == ("offline", {}, None)
    assert recipe.task == Task(weight=1.0, label_smoothing=0.0)
    assert (recipe.train.optimizer, recipe.train.warmup, recipe.train.clip) == ("adamw", "5%", 1.0)
    assert (recipe.teacher.recipe, recipe.teacher.seed) == ("supervised", 0)
    assert (recipe.evaluate.size_priority, recipe.evaluate.margin) == (0.5, 0.01)


def test_a_recipe_is_frozen():
    with pytest.raises(ValidationError):
        Recipe().task = Task()
    with pytest.raises(ValidationError):
        Recipe().train.epochs = 3


def test_dump_and_validate_is_a_round_trip():
    recipe = Recipe.model_validate(
        {
            "scheme": {"name": "offline"},
            "task": {"weight": {"from": 1.0, "to": 0.1, "over": "30%"}, "label_smoothing": 0.1},
            "methods": {
                "kd": {"weight": 0.9, "temperature": 4.0},
                "hot": {"use": "kd", "weight": {"from": 0.0, "to": 1.0, "over": "2 epochs"}},
            },
            "train": {"until": {"accuracy": 0.95}, "clip": None, "epochs": 3},
            "who": {"teacher": "resnet18", "seed": 3},
        }
    )
    assert Recipe.model_validate(dump(recipe)) == recipe
    assert dump(recipe)["task"]["weight"]["from"] == 1.0
    assert dump(recipe)["methods"]["kd"] == {"weight": 0.9, "temperature": 4.0}
    assert dump(recipe)["methods"]["hot"]["use"] == "kd"
    assert recipe.methods["kd"].options == {"temperature": 4.0}


def test_dump_of_an_unsigned_recipe_has_no_who():
    assert "who" not in dump(Recipe())


def test_fill_auto_leaves_nothing_auto():
    before = flat(dump(Recipe()))
    assert before.pop("match.adapter") == "auto"  # decided for each pair of stages
    assert before.pop("data.licence") == "auto"  # looked up whenever it is asked for
    assert before.pop("teacher.answers") == "auto"  # by what lies there when it is trained
    assert {key for key, value in before.items() if value == "auto"} == set(AUTO)
    filled = flat(dump(fill_auto(Recipe(), AUTO)))
    del filled["match.adapter"], filled["data.licence"], filled["teacher.answers"]
    assert "auto" not in filled.values()
    assert {key: filled[key] for key in AUTO} == AUTO


def test_fill_auto_keeps_what_was_decided():
    recipe = Recipe(train=Train(epochs=3, patience=None))
    filled = fill_auto(recipe, AUTO | {"train.patience": 7})
    assert (filled.train.epochs, filled.train.patience) == (3, None)
    assert filled.train.batch_size == 32
    assert recipe.train.batch_size == "auto"


def test_update_checks_again_and_leaves_the_original():
    recipe = Recipe(methods={"kd": MethodUse(weight=1.0)})
    changed = update(recipe, {"train.epochs": 20, "methods.kd.weight": 0.5})
    assert (changed.train.epochs, changed.methods["kd"].weight) == (20, 0.5)
    assert (recipe.train.epochs, recipe.methods["kd"].weight) == ("auto", 1.0)
    with pytest.raises(ValidationError):
        update(recipe, {"train.epochs": 0})


def test_get_and_put_by_path():
    raw = {"train": {"epochs": 3}, "scheme": "offline", "who": None}
    assert get(raw, "train.epochs") == 3
    assert get(raw, "train.epochs.deeper") is None
    assert get(raw, "nowhere.at.all") is None
    put(raw, "train.lr", 0.1)
    put(raw, "methods.kd.weight", 2)
    put(raw, "who.seed", 1)
    put(raw, "scheme.peers", 2)
    assert raw == {
        "train": {"epochs": 3, "lr": 0.1},
        "methods": {"kd": {"weight": 2}},
        "who": {"seed": 1},
        "scheme": {"name": "offline", "peers": 2},
    }


def test_a_pool_may_be_its_name_alone():
    assert Data(pool="munge_patch").pool == Pool(by="munge_patch", times=4)
    assert Data(pool=None).pool is None
