"""From a spec to a training that is ready to start: every recipe, with real models on digits."""

from dataclasses import asdict
from itertools import chain, islice

import pytest
import torch

from kdcli.core.errors import UnmetNeeds
from kdcli.core.progress import Silent
from kdcli.plan.data import open_data
from kdcli.plan.job import Shared, train_spec
from kdcli.plan.lineage import Roles, distill_spec
from kdcli.plan.names import Start
from kdcli.recipe.load import load_recipe, recipe_names
from kdcli.runs.run import Run
from kdcli.training.build import assemble
from kdcli.training.loop import fit
from kdcli.training.resume import Validation
from kdcli.training.site import Site

CPU = torch.device("cpu")
STUDENTS = {"deit": "deit_tiny_distilled_patch16_224"}
STEPS = 4


@pytest.fixture(scope="module")
def digits():
    return open_data("digits", Silent(), surveyed=False)


def ready(digits, recipe, *settings, student="test_efficientnet", teacher="test_resnet"):
    source, data = digits
    loaded = load_recipe(recipe, ("train.batch_size=16", *settings))
    if recipe == "supervised":
        spec = train_spec(student, Shared(loaded, source, data, CPU))
    else:
        spec = distill_spec(Roles((teacher,), Start(student)), Shared(loaded, source, data, CPU))
    nobody = [None] * len(spec.members)  # an untrained teacher will do
    return spec, assemble(spec, Site(source, CPU, Silent()), nobody, rehearsal=True)


@pytest.mark.parametrize("recipe", recipe_names())
def test_every_recipe_teaches(digits, recipe):
    _, made = ready(digits, recipe, student=STUDENTS.get(recipe, "test_efficientnet"))
    assert not made.distiller.skipped
    batch = next(made.batches(5))  # past what begins at 0
    losses = made.distiller(batch)
    assert torch.isfinite(losses.total)
    losses.total.backward()
    for name, parameter in made.distiller.named_parameters():
        silent = parameter.grad is None or not parameter.grad.any()
        assert not (silent and name.startswith("adapters.")), name
    taught = [p for p in made.distiller.learners.parameters() if p.grad is not None]
    assert all(torch.isfinite(p.grad).all() for p in taught)
    assert any(p.grad.any() for p in taught)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("methods.deit.weight=1",), "no distillation head"),
        (("methods.ofd.weight=1",), "ReLU"),
        (("methods.fitnet.weight=1", "match.adapter=none"), "match.adapter is none"),
        (("methods.fitnet.weight=1", "teacher.recipe=joint_ensemble"), "nothing is shown but"),
    ],
)
def test_what_is_undefined_is_refused_before_the_first_step(digits, settings, words):
    with pytest.raises(UnmetNeeds, match=words):
        ready(digits, "kd", *settings, teacher="test_efficientnet", student="test_resnet")


LEARNING = tuple(f"methods.{name}.weight=1" for name in ("fitnet", "crd", "ctkd", "vid"))


def test_methods_that_learn_resume_bit_identical(digits, tmp_path):
    """Their adapters, memories and temperatures go into the resume state."""
    straight = _fitted(digits, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        _fitted(digits, tmp_path / "broken", stop=1)
    resumed = _fitted(digits, tmp_path / "broken")
    one, other = straight[0]["student"], resumed[0]["student"]
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert straight[1].keys() == resumed[1].keys()
    assert all(torch.equal(straight[1][key], resumed[1][key]) for key in straight[1])


def _fitted(digits, folder, stop=None):
    torch.manual_seed(0)  # of the untrained teacher
    spec, made = ready(digits, "kd", *LEARNING, "train.epochs=2", "train.patience=null")
    folder.mkdir(exist_ok=True)

    def validate(model):
        run = Run(folder)
        if stop == len(run.lines()):
            raise KeyboardInterrupt
        return Validation(len(run.lines()) / 10, 0.0, 1.0)

    weights, ended = fit(
        made.distiller,
        spec.recipe.train,
        batches=lambda epoch, done: chain.from_iterable(
            islice(made.batches(each), STEPS) for each in range(epoch, 2)
        ),
        steps_per_epoch=STEPS,
        validate=validate,
        seed=0,
        run=Run(folder),
        label="student",
        progress=Silent(),
    )
    assert asdict(ended)["epochs"] == 2
    return weights, made.distiller.state_dict()
