"""Names that people have for keys, methods, schemes and recipes lead to ours."""

import pytest

from kdcli.core import registry
from kdcli.core.errors import RecipeError, UsageError
from kdcli.recipe.load import find_recipe, load_recipe
from kdcli.recipe.other_names import OTHER_NAMES, keys

MEANT = {
    "train.learning_rate=0.1": "'train.lr'",
    "lr=0.1": "'train.lr'",
    "learningRate=0.1": "'train.lr'",
    "optim.lr=0.1": "'train.lr'",
    "epochs=3": "'train.epochs'",
    "n_epochs=3": "'train.epochs'",
    "student.epochs=3": "'train.epochs'",
    "batch=8": "'train.batch_size'",
    "bs=8": "'train.batch_size'",
    "bsize=8": "'train.batch_size'",
    "data.batch_size=8": "'train.batch_size'",
    "temp=4": "'methods.kd.temperature'",
    "T=4": "'methods.kd.temperature'",
    "methods.kd.T=4": "'methods.kd.temperature'",
    "kd.temperature=4": "'methods.kd.temperature'",
    "alpha=0.9": "'methods.kd.weight'",
    "train.wd=0": "'train.weight_decay'",
    "optimizer=sgd": "'train.optimizer'",
    "img_size=64": "'data.image_size'",
    "train.label_smoothing=0.1": "'task.label_smoothing'",
    "pretrained=false": "'student.pretrained' or 'teacher.pretrained'",
    "train.amp=true": "'student.precision'",
    "seed=3": "'--seed'",
    "train.device=cuda": "'--device'",
    "data.path=photos": "'--data'",
    "teacher.name=resnet18": "'--teacher'",
    "teacher=resnet18": "--teacher resnet18",
    "train.num_workers=2": "KD_WORKERS=...",
    "teacher.epochs=3": "'train.epochs' stands in the recipe that teacher.recipe names",
    "teacher.train.balance=sampler": "'train.balance' stands in the recipe that teacher.recipe",
    "teacher.data.augment=shift": "'data.augment' stands in the recipe that teacher.recipe",
    "teacher.train={lr: 1, epochs: 3}": "'train.lr', 'train.epochs' stand in the recipe",
    "teacher.train.tune=head": "'teacher.tune'",
    "train.scheduler=step": "train.warmup (a cosine",
    "train.epochs:3": "--set train.epochs=3",
    "train.epochs 3": "--set train.epochs=3",
    "train.epochs=3,train.lr=1": "each takes a --set of its own",
    "methods.attention={}": "'at'",
    "methods.attention_transfer={}": "'at'",
    "methods.hinton={}": "'kd'",
    "methods.soft_targets={}": "'kd'",
    "methods.hint={}": "'fitnet'",
    "methods.fitnets={}": "'fitnet'",
    "methods.similarity={}": "'sp'",
    "methods.contrastive={}": "'crd'",
    "methods.similarty={}": "'sp'",
    "methods.zagoruyko={}": "'at'",
    "scheme=mutual_learning": "'mutual'",
}


@pytest.mark.parametrize(("setting", "words"), MEANT.items(), ids=MEANT.keys())
def test_what_is_called_otherwise_elsewhere_is_understood(setting, words):
    with pytest.raises(RecipeError) as caught:
        load_recipe("kd", (setting,))
    assert words in caught.value.what


@pytest.mark.parametrize("word", ["None", "none", "off", "nan", "False", "0"])
def test_where_null_is_allowed_it_is_named(word):
    with pytest.raises(RecipeError, match=r"train.patience: expects .*; null is off"):
        load_recipe("kd", (f"train.patience={word}",))


@pytest.mark.parametrize("key", ["data.randaugment", "data.unlabelled", "who.data", "train.warmup"])
def test_none_is_no_text(key):
    with pytest.raises(RecipeError, match=f"{key}: expects .*, not 'None'; null is off"):
        load_recipe("kd", (f"{key}=None",))


def test_a_key_that_cannot_be_null_does_not_say_so():
    with pytest.raises(RecipeError) as caught:
        load_recipe("kd", ("train.epochs=None",))
    assert "null" not in caught.value.what


def test_every_name_leads_to_something_that_there_is():
    named = {name for name in OTHER_NAMES if name[0] != "-" and "*" not in name}
    assert {name.split()[0].split("=")[0] for name in named} - set(keys()) == {"KD_WORKERS"}
    for kind, table in registry.OTHER_NAMES.items():
        assert set(table) <= set(registry.names(kind))


def test_no_name_is_that_of_another():
    """`--set methods.feature` would else lead away from a method of that name."""
    for kind, table in registry.OTHER_NAMES.items():
        others = {word for words in table.values() for word in words.split()}
        taken = others & set(registry.names(kind))
        assert not taken


@pytest.mark.parametrize(
    ("name", "ours"), [("attention", "at"), ("hinton", "kd"), ("dml", "mutual"), ("ban", "born_")]
)
def test_recipes_are_called_after_methods(name, ours):
    with pytest.raises(UsageError, match=f"did you mean '{ours}"):
        find_recipe(name)
