"""Recipe files: read safely, every mistake told at once, the flag over the file over the schema."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kdcli
from kdcli.core.errors import RecipeError, UsageError
from kdcli.recipe import load as module
from kdcli.recipe.edit import dump, get
from kdcli.recipe.load import (
    describe_recipe,
    find_recipe,
    load_recipe,
    recipe_folder,
    recipe_names,
)
from kdcli.recipe.match import Noise
from kdcli.recipe.places import models_at, shorthand_at
from kdcli.recipe.safe_yaml import from_yaml, read_yaml
from kdcli.recipe.schema import Recipe
from kdcli.recipe.settings import parse_setting
from kdcli.recipe.weight import Ramp
from kdcli.recipe.who import TeacherEntry


@pytest.fixture
def load(tmp_path):
    """Load a recipe of this text, with these settings."""

    def load(text, *settings):
        path = tmp_path / "mine.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_recipe(str(path), settings)

    return load


@pytest.fixture
def problems(load, tmp_path):
    """The lines that a bad recipe is answered with; the file is called FILE."""

    def problems(text, *settings):
        with pytest.raises(RecipeError) as caught:
            load(text, *settings)
        assert caught.value.code == 2
        return [line.replace(str(tmp_path / "mine.yaml"), "FILE") for line in caught.value.problems]

    return problems


SOFT = {"temperature": 4.0, "standardize": False}
"""The options of kd."""

# All mistakes at once ----------------------------------------------------------------------------

BAD = """
methods:
  kd: {tempature: 3, weight: -1}
  zz: {}
task: {wieght: 1, label_smoothing: 1.0}
train: {epochs: many, lr: .nan, batch_size: "32", clip: -.inf}
studnt: {}
"""


def test_every_mistake_is_told_at_once_with_its_origin(problems):
    found = problems(
        BAD,
        "train.warmup=5",
        "studen.precision=fp16",
        "data.image_size=4",
        "methods.kd.temperature=0",
    )
    assert sorted(found) == sorted(
        [
            "FILE: methods.kd.tempature: unknown key; did you mean 'methods.kd.temperature'?",
            "FILE: methods.kd.weight: expects a number at least 0.0 or a mapping, not -1",
            "FILE: methods.zz: unknown method 'zz'",
            "FILE: task.wieght: unknown key; did you mean 'task.weight'?",
            "FILE: task.label_smoothing: expects a number below 1.0, not 1.0",
            "FILE: train.epochs: expects a whole number or 'auto', not 'many'",
            "FILE: train.lr: expects a finite number or 'auto', not nan",
            "FILE: train.batch_size: expects a whole number or 'auto', not '32'",
            "FILE: train.clip: expects a finite number, not -inf; null is off",
            "FILE: studnt: unknown key; did you mean 'student'?",
            "--set: train.warmup: expects a text, not 5; null is off",
            "--set: studen: unknown key; did you mean 'student'?",
            "--set: data.image_size: expects a number at least 8 or 'auto', not 4",
            "--set: methods.kd.temperature: expects a number above 0.0, not 0",
        ]
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("scheme: offlne", "scheme: unknown scheme 'offlne'; did you mean 'offline'?"),
        ("scheme: {name: offline, peers: 2}", "scheme.peers: unknown key"),
        ("scheme: 3", "scheme: expects a mapping, not 3"),
        ("methods: [kd]", "methods: expects a mapping, not ['kd']"),
        ("methods: {kd: 3}", "methods.kd: expects a mapping, not 3"),
        (
            "methods: {hot: {use: kdd}}",
            "methods.hot: unknown method 'kdd'; did you mean 'kd'?",
        ),
        ("train: 3", "train: expects a mapping, not 3"),
        (
            "train: {optimizer: adam}",
            "train.optimizer: expects 'adamw' or 'sgd', not 'adam'",
        ),
        ("train: {until: {accuracy: 2}}", "train.until.accuracy: expects a number at most 1.0"),
        ("methods: {kd: {weight: {from: 0, to: 1}}}", "methods.kd.weight.over: is missing"),
        (
            "task: {weight: {from: 0, to: 1, over: 5 apples}}",
            'task.weight.over: expects a span such as "5%" or "20 epochs", not \'5 apples\'',
        ),
        ("match: {pairs: 3}", "match.pairs: expects a list, not 3"),
        (
            "match: {pairs: [[1, 2, 3]]}",
            "match.pairs.0: expects a list of at most 2, not [1, 2, 3]",
        ),
        ("train: {epochs: null}", "train.epochs: expects a whole number or 'auto'"),
        ("train: {epochs: true}", "train.epochs: expects a whole number or 'auto', not true"),
        ("train: {epochs: 3.0}", "train.epochs: expects a whole number or 'auto', not 3.0"),
        ("who: {data: 2024-01-01}", "who.data: expects a text"),
    ],
)
def test_each_mistake_says_where_and_what(problems, text, line):
    (found,) = problems(text)
    assert found.startswith(f"FILE: {line}")


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "-1", '"1"', "true", "[1]", "1e999"])
@pytest.mark.parametrize("key", ["task.weight", "train.lr", "train.weight_decay", "train.clip"])
def test_a_number_is_a_finite_number_above_zero(problems, key, value):
    section, name = key.split(".")
    (line,) = problems(f"{section}: {{{name}: {value}}}")
    assert line.startswith(f"FILE: {key}: expects ")
    (line,) = problems("", f"{key}={value}")
    assert line.startswith(f"--set: {key}: expects ")


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("who: {techer: resnet18}", "who.teacher"),
        ("train: {until: {acuracy: 0.9}}", "train.until.accuracy"),
        ("task: {weight: {fron: 0, to: 1, over: 5%}}", "task.weight.from"),
    ],
)
def test_did_you_mean_in_nested_sections(problems, text, near):
    assert any(f"did you mean '{near}'?" in line for line in problems(text))


# YAML --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("methods: {kd: {weight: 0.1, weight: 3}}", "FILE:1:29: the key 'weight' stands twice"),
        ("train: {}\ndata: {}\ntrain: {}", "FILE:3:1: the key 'train' stands twice"),
        ("train:\n\tepochs: 3", "FILE:2:1: found character '\\t'"),
        ("train: {lr: 1", "FILE:1:14: expected ',' or '}'"),
        ("- a\n- b", "FILE: expects keys such as 'train:', not list"),
        ("just words", "FILE: expects keys such as 'train:', not str"),
        ("a: 1\n---\nb: 2", "FILE:2:1: but found another document"),
        ("a: &x [1]\nb: *x", "FILE:2:4: aliases are not allowed"),
        ("a: &x {c: 1}\nb: {<<: *x}", "FILE:2:9: aliases are not allowed"),
        ("\0", "FILE: unacceptable character"),
        (b"\xff\xfe\x00", "FILE: not a text file"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_place(problems, text, words):
    (line,) = problems(text)
    assert line.startswith(words)


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.mkdir", "!!python/object/new:os.mkdir", "!!python/name:os"]
)
def test_code_in_a_recipe_is_refused_and_never_run(problems, tmp_path, tag):
    canary = tmp_path / "canary"
    (line,) = problems(f'train: {tag} ["{canary}"]')
    assert line.startswith("FILE:1:8: could not determine a constructor")
    assert line.endswith("recipes hold plain values only")
    (line,) = problems("", f'train.epochs={tag} ["{canary}"]')
    assert line.endswith("recipes hold plain values only")
    assert not canary.exists()


def test_an_alias_bomb_is_refused_before_it_swells(problems):
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 60)
    )
    assert problems(bomb) == ["FILE:2:10: aliases are not allowed"]


def test_a_file_that_is_no_recipe_by_its_size(problems):
    (line,) = problems("# " + "x" * 1_000_001)
    assert line.startswith("FILE: larger than 1,000,000 bytes")


@pytest.mark.parametrize(
    "text",
    [
        "? [a, b]\n: 4",
        "? {a: b}\n: 4",
        "task: {weight: " + "[" * 3000 + "]" * 3000 + "}",
    ],
    ids=["list as key", "mapping as key", "deep nesting"],
)
def test_yaml_that_breaks_python_is_refused_in_words(problems, text):
    assert problems(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 0.001), ("1E5", 1e5), ("1.5e+2", 150.0), (".5", 0.5), ("2", 2.0), ("3.", 3.0)],
)
def test_numbers_as_people_write_them(load, text, value):
    assert load(f"train: {{lr: {text}}}").recipe.train.lr == value
    assert load("", f"train.lr={text}").recipe.train.lr == value


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "y", "n", "Yes", "OFF"])
def test_words_that_old_yaml_takes_for_booleans_stay_texts(load, word):
    assert load(f"who: {{data: {word}}}").recipe.who.data == word
    with pytest.raises(RecipeError, match=f"true or false or 'auto', not '{word}'"):
        load(f"student: {{pretrained: {word}}}")


@pytest.mark.parametrize(("word", "value"), [("true", True), ("False", False), ("auto", "auto")])
def test_true_and_false_are_booleans(load, word, value):
    assert load(f"student: {{pretrained: {word}}}").recipe.student.pretrained is value


@pytest.mark.parametrize("text", ["train: {epochs: 010}", "train: {epochs: 1:30}"])
def test_integers_are_decimal(load, text):
    try:
        found = load(text).recipe.train.epochs
    except RecipeError:
        return  # refusing them is as good
    assert found == 10


def test_null_is_off(load):
    recipe = load("train: {patience: null, clip: ~, warmup: null}\ndata: {augment: null}").recipe
    assert (recipe.train.patience, recipe.train.clip, recipe.train.warmup) == (None, None, None)
    assert recipe.data.augment is None


@pytest.mark.parametrize("text", ["", "# only a comment\n", "{}", "\ufeffscheme: offline\n"])
def test_an_empty_recipe_takes_every_default(load, text):
    assert load(text).recipe == Recipe()


# Methods -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["methods:\n  kd:\n", "methods: {kd: {}}"])
def test_a_method_alone_takes_every_default(load, text):
    kd = load(text).recipe.methods["kd"]
    assert (kd.weight, kd.options, kd.use) == (1.0, SOFT, None)


def test_a_second_use_of_a_method_has_its_own_name_and_options(load):
    methods = load("methods: {kd: , hot: {use: kd, temperature: 10}}").recipe.methods
    assert list(methods) == ["kd", "hot"]
    assert (methods["hot"].use, methods["hot"].weight) == ("kd", 1.0)
    assert methods["hot"].options == SOFT | {"temperature": 10.0}
    assert methods["kd"].options == SOFT


def test_weights_may_move(load):
    text = "methods: {kd: {weight: {from: 0, to: 1, over: 20 epochs, start: 5%}}}"
    weight = load(text).recipe.methods["kd"].weight
    assert isinstance(weight, Ramp)
    assert (weight.from_, weight.to, weight.over, weight.start) == (0.0, 1.0, "20 epochs", "5%")


@pytest.mark.parametrize("name", ["task", "a.b", '""'])
def test_a_term_cannot_take_a_name_that_logs_or_set_cannot_hold(load, name):
    with pytest.raises(RecipeError):
        load(f"methods: {{{name}: {{use: kd}}}}")


# Order: --set > file > schema --------------------------------------------------------------------


def test_set_goes_over_the_file_and_the_file_over_the_schema(load, tmp_path):
    text = "train: {epochs: 4, lr: 0.1}\nmethods: {kd: {temperature: 2}}"
    loaded = load(text, "train.epochs=5", "train.epochs=6", "methods.kd.temperature=8")
    recipe, file = loaded.recipe, str(tmp_path / "mine.yaml")
    assert (recipe.train.epochs, recipe.train.lr, recipe.train.batch_size) == (6, 0.1, "auto")
    assert recipe.methods["kd"].options == SOFT | {"temperature": 8.0}
    assert loaded.origins["train.epochs"] == "--set"
    assert loaded.origins["methods.kd.temperature"] == "--set"
    assert loaded.origins["train.lr"] == file
    assert "train.batch_size" not in loaded.origins
    assert loaded.name == "mine"


def test_set_reaches_every_kind_of_key(load):
    recipe = load(
        "methods: {kd: }",
        "methods.hot.use=kd",
        "task.weight={from: 1, to: 0.1, over: 30%}",
        "scheme.name=offline",
        "who.seed=3",
        "evaluate.margin=0.02",
    ).recipe
    assert recipe.methods["hot"].options == SOFT
    assert recipe.task.weight.over == "30%"
    assert (recipe.who.seed, recipe.evaluate.margin) == (3, 0.02)
    assert load("", "scheme=alone").recipe.scheme.name == "alone"
    assert load("scheme: {name: offline}", "scheme.name=alone").recipe.scheme.name == "alone"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("train.epochs", "--set train.epochs: expects key=value, as in --set train.epochs=30"),
        ("=5", "--set =5: expects key=value"),
        ("train.epochs=[", "--set train.epochs=[: expected the node content"),
        ("train=5", "--set: train: expects a mapping, not 5"),
        ("train.epochs=", "--set: train.epochs: expects a whole number or 'auto'"),
        ("train..epochs=3", "--set train..epochs=3: expects key=value"),
        (".=5", "--set .=5: expects key=value"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(problems, setting, words):
    (line,) = problems("", setting)
    assert line.startswith(words)


def test_a_setting_may_hold_an_equals_sign():
    assert parse_setting(" who.data =a=b") == ("who.data", "a=b")


# Shipped recipes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_loads_and_says_what_it_is_for(name):
    loaded = load_recipe(name)
    assert loaded.name == name
    assert set(loaded.origins.values()) == {f"recipe {name}"}
    assert loaded.recipe.who is None
    assert Recipe.model_validate(dump(loaded.recipe)) == loaded.recipe
    header = find_recipe(name).read_text("utf-8")
    assert describe_recipe(name)
    assert "\n#   kd " in header


def test_the_default_recipe_is_soft_targets_at_four():
    recipe = load_recipe("kd").recipe
    assert (recipe.scheme.name, recipe.task.weight) == ("offline", 0.1)
    assert recipe.methods["kd"].weight == 0.9
    assert recipe.methods["kd"].options == SOFT


def test_supervised_is_labels_only():
    recipe = load_recipe("supervised").recipe
    assert (recipe.scheme.name, recipe.task.weight, recipe.methods) == ("alone", 1.0, {})


def test_a_mistake_in_a_setting_over_a_shipped_recipe():
    with pytest.raises(RecipeError) as caught:
        load_recipe("kd", ("methods.kd.tempature=3", "train.epochs=0"))
    too_many = "expects a number at most 1000000 or 'auto'"
    with pytest.raises(RecipeError, match=too_many):
        load_recipe("kd", ("train.epochs=1000000000000",))
    assert set(caught.value.problems) == {
        "--set: methods.kd.tempature: unknown key; did you mean 'methods.kd.temperature'?",
        "--set: train.epochs: expects a number at least 1 or 'auto', not 0",
    }


@pytest.mark.parametrize("name", ["kdd", "missing.yaml", "x" * 300, "a\0b", ""])
def test_a_recipe_that_is_not_there(name):
    with pytest.raises(UsageError) as caught:
        load_recipe(name)
    assert caught.value.what.startswith(f"no recipe '{name}': neither a shipped one nor a file")
    assert ", kd, " in caught.value.fix


def test_a_folder_and_a_pipe_are_no_recipes(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place, kind in ((tmp_path, "a folder"), (tmp_path / "pipe", "a device or a pipe")):
        with pytest.raises(UsageError, match=f"{kind}, no recipe"):
            load_recipe(str(place))


def test_a_recipe_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "mine.yaml").write_text("train: {epochs: 3}")
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(RecipeError, match=r"mine.yaml: cannot be read \(Permission denied\)"):
        load_recipe(str(tmp_path / "mine.yaml"))


def test_a_near_name_is_suggested():
    with pytest.raises(UsageError, match="did you mean 'supervised'"):
        find_recipe("supervisd")


def test_in_a_checkout_recipes_lie_beside_the_package():
    assert recipe_folder() == Path(kdcli.__file__).parent.parent / "recipes"


def test_in_a_wheel_recipes_lie_inside_the_package(tmp_path, monkeypatch):
    package = tmp_path / "kdcli" / "recipe"
    beside, inside = tmp_path / "recipes", package / "shipped"
    for folder in (beside, inside):
        folder.mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(package / "load.py"))
    assert recipe_folder() == inside
    shutil.copy(Path(kdcli.__file__).parent.parent / "recipes" / "kd.yaml", inside)
    assert recipe_names() == ["kd"]
    assert load_recipe("kd").recipe.methods["kd"].weight == 0.9
    shutil.rmtree(inside)
    assert recipe_folder() == beside


def test_reading_a_recipe_needs_no_torch():
    code = (
        "import sys; from kdcli.recipe.load import read_yaml, find_recipe; "
        "read_yaml(find_recipe('kd')); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_read_yaml_gives_plain_mappings():
    assert read_yaml(find_recipe("supervised")) == {"scheme": "alone", "task": {"weight": 1.0}}


# Shorthands ------------------------------------------------------------------------------------


SHORTHANDS = [
    # a key, what a bare text there stands for, a key inside it, and what both come to
    ("data.pool", "munge_patch", "times", 2, {"by": "munge_patch", "times": 2}),
    ("data.pool", "{by: munge_patch, grid: 2}", "times", 2, {"by": "munge_patch", "grid": 2}),
    ("scheme", "mutual", "peers", 3, {"name": "mutual", "peers": 3}),
    ("scheme", "born_again", "generations", 3, {"name": "born_again", "generations": 3}),
    ("methods.at", "", "weight", 7, {"weight": 7}),
    ("methods.kd", "{temperature: 2}", "weight", 7, {"temperature": 2, "weight": 7}),
    ("train.until", "{accuracy: 0.9}", "accuracy", 0.5, {"accuracy": 0.5}),
]


def as_yaml(key, value):
    """`a.b` as a file has it."""
    *parents, last = key.split(".")
    lines = [f"{'  ' * i}{word}:" for i, word in enumerate(parents)]
    return "\n".join([*lines, f"{'  ' * len(parents)}{last}: {value}"])


@pytest.mark.parametrize(("key", "value", "inner", "change", "wanted"), SHORTHANDS)
def test_a_shorthand_survives_a_key_of_its_own(load, key, value, inner, change, wanted):
    """In the file and by --set, whoever comes first."""
    whole, part = f"{key}={value}", f"{key}.{inner}={change}"
    found = [load(as_yaml(key, value), part)]
    if "{accuracy" not in value:  # that one is thrown away, and refused below
        found += [load("train: {}", *both) for both in ((whole, part), (part, whole))]
    for loaded in found:
        kept = get(dump(loaded.recipe), key)
        assert {name: kept[name] for name in wanted} == wanted
        assert loaded.origin(f"{key}.{inner}") == "--set"
    first = next(name for name in wanted)
    by_file = found[0].origin(f"{key}.{first}")
    assert by_file.endswith("mine.yaml" if first != inner else "--set")


def test_every_shorthand_of_the_format_is_in_that_table():
    """Whatever a field takes as a bare text, or as a mapping."""
    places = {f"{path}" for path in _mappings(Recipe) if shorthand_at(path)}
    tested = {key for key, *_ in SHORTHANDS if shorthand_at(key)}
    assert places == tested | {"who.teachers"}  # tested below


def _mappings(model, path=""):
    for name in model.model_fields:
        here = f"{path}.{name}".lstrip(".")
        for inner in models_at(here):
            yield here
            yield from _mappings(inner, here)


def test_an_entry_of_a_list_is_named_by_its_place(load):
    text = "who: {teachers: [resnet18, {model: resnet34, seeds: 2}]}\n"
    text += "match: {augment: [{noise: {on: features}}]}"
    settings = ("who.teachers.0.seeds=3", "match.augment.0.noise.scale=0.25")
    recipe = load(text, *settings).recipe
    assert recipe.who.teachers[0] == TeacherEntry(model="resnet18", seeds=3)
    assert recipe.who.teachers[1] == TeacherEntry(model="resnet34", seeds=2)
    assert recipe.match.augment[0].noise == Noise(on="features", scale=0.25)
    with pytest.raises(RecipeError, match=r"who\.teachers\.2: the list has 2 of them"):
        load(text, "who.teachers.2.seeds=3")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("data.pool.times=2", "data.pool=null"), "throws away --set data.pool.times"),
        (("data.pool=null", "data.pool.times=2"), "data.pool=null has it off"),
        (("methods.at.weight=2", "methods={}"), "throws away --set methods.at.weight"),
        (("train.until.accuracy=0.5", "train.until={accuracy: 0.9}"), "throws away"),
        (("data.pool.by=mixup", "data.pool=munge_patch"), "throws away --set data.pool.by"),
        (("train.epochs.most=3",), "train.epochs is 5, no mapping"),
        (("task.weight=1", "task.weight.to=2"), "task.weight is 1, no mapping"),
    ],
)
def test_a_setting_that_another_throws_away_is_refused(load, settings, words):
    with pytest.raises(RecipeError, match=re.escape(words)):
        load("train: {epochs: 5}", *settings)


def test_of_one_key_the_last_setting_counts(load):
    recipe = load("task: {weight: 1}", "data.pool.times=2", "data.pool.times=3").recipe
    assert recipe.data.pool.times == 3
    recipe = load("methods: {kd: {weight: 2}}", "methods={}", "methods.at.weight=7").recipe
    assert list(recipe.methods) == ["at"]


@pytest.mark.parametrize("text", ["a: !!timestamp x", "a: !!bool x", "[" * 5000])
def test_values_that_are_not_what_they_say_are_value_errors(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_yaml(text)


def test_aliases_of_aliases_are_counted_before_anybody_walks_through_them() -> None:
    """Row 38: ten of ten of ten of them."""
    lines = ["a0: &a0 [x]"] + [
        f"a{i}: &a{i} [{', '.join(10 * [f'*a{i - 1}'])}]" for i in range(1, 9)
    ]
    with pytest.raises(ValueError, match="more than 1,000,000 values"):
        from_yaml("\n".join(lines))
