"""`match.augment` and `match.adapter` in recipes: read, refused in words, shown."""

import pytest

from kdcli.core.errors import RecipeError
from kdcli.recipe.edit import dump
from kdcli.recipe.load import load_recipe
from kdcli.recipe.match import Disturbance, Drop, Mask, Noise
from kdcli.recipe.schema import Recipe


@pytest.fixture
def load(tmp_path):
    def load(text, *settings):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return load_recipe(str(path), settings)

    return load


@pytest.fixture
def problems(load, tmp_path):
    def problems(text, *settings):
        with pytest.raises(RecipeError) as caught:
            load(text, *settings)
        return [line.replace(str(tmp_path / "mine.yaml"), "FILE") for line in caught.value.problems]

    return problems


TEXT = """
match:
  adapter: conv
  augment:
    - noise: {on: embedding, scale: 1, probability: 0.25}
    - mask: {share: 0.3}
    - drop: {}
"""


def test_rules_stand_in_their_order(load):
    match = load(TEXT).recipe.match
    assert match.adapter == "conv"
    assert [entry.rule for entry in match.augment] == [
        Noise(on="embedding", scale=1.0, probability=0.25),
        Mask(share=0.3),
        Drop(),
    ]


def test_the_defaults():
    match = Recipe().match
    assert (match.adapter, match.augment, match.pairs) == ("auto", (), None)
    assert Noise() == Noise(on="logits", scale=0.5, probability=0.5)
    assert (Mask().on, Drop().on) == ("features", "features")


def test_dump_and_validate_is_a_round_trip(load):
    recipe = load(TEXT).recipe
    dumped = dump(recipe)
    assert Recipe.model_validate(dumped) == recipe
    assert list(dumped["match"]["augment"][1]) == ["mask"]
    assert dumped["match"]["augment"][1]["mask"] == {"on": "features", "share": 0.3}


def test_set_takes_the_whole_list(load):
    loaded = load(TEXT, "match.augment=[{noise: {scale: 2}}]", "match.adapter=none")
    assert loaded.recipe.match.augment == (Disturbance(noise=Noise(scale=2.0)),)
    assert loaded.recipe.match.adapter == "none"
    assert loaded.origin("match.augment") == "--set"


@pytest.mark.parametrize(
    ("augment", "line"),
    [
        (
            "[{nois: {}}]",
            "match.augment.0.nois: unknown key; did you mean 'match.augment.0.noise'?",
        ),
        (
            "[{mask: {}}, {noise: {scle: 1}}]",
            "match.augment.1.noise.scle: unknown key; did you mean 'match.augment.1.noise.scale'?",
        ),
        (
            "[{noise: {scale: -1}}]",
            "match.augment.0.noise.scale: expects a number above 0.0, not -1",
        ),
        (
            "[{noise: {probability: 2}}]",
            "match.augment.0.noise.probability: expects a number at most 1.0, not 2",
        ),
        ("[{mask: {on: logits}}]", "match.augment.0.mask.on: expects 'features', not 'logits'"),
        ("[{drop: {share: 1}}]", "match.augment.0.drop.share: expects a number below 1.0, not 1"),
        (
            "[{mask: {}, drop: {}}]",
            "match.augment.0: expects exactly one of 'noise', 'mask', 'drop' with its options",
        ),
        ("[{}]", "match.augment.0: expects exactly one of"),
        ("[{mask: }]", "match.augment.0: expects exactly one of"),
        ("[mask]", "match.augment.0: expects a mapping, not 'mask'"),
        ("{mask: {}}", "match.augment: expects a list, not {'mask': {}}"),
        ("mask", "match.augment: expects a list, not 'mask'"),
    ],
)
def test_each_mistake_says_where_and_what(problems, augment, line):
    found = problems(f"match: {{augment: {augment}}}")
    assert any(told.startswith(f"FILE: {line}") for told in found), found
    (told, *_) = problems("", f"match.augment={augment}")
    assert told.startswith("--set: match.augment")


def test_an_adapter_that_is_none_of_the_three(problems):
    assert problems("match: {adapter: linear}") == [
        "FILE: match.adapter: expects 'auto', 'none' or 'conv', not 'linear'"
    ]
