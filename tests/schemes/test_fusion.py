"""Feature fusion learning: who imitates whom, the paper's numbers, what ships."""

import copy

import pytest
import torch
import torch.nn.functional as F
from check_values import LABELS
from check_values import STUDENT_LOGITS as STUDENT
from check_values import TEACHER_LOGITS as TEACHER
from torch import nn

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import About, Batch, Outputs
from kdcli.methods.kd import kd_loss
from kdcli.models.build import build, plan, seeded
from kdcli.models.route import View
from kdcli.models.tap import Tap
from kdcli.recipe.load import load_recipe, scheme_of
from kdcli.recipe.weight import weight_at
from kdcli.schemes.fusion import Fusion

ABOUT = About(num_classes=5, num_samples=4, steps_per_epoch=1)
FUSED = STUDENT.flip(1)


def lesson(**logits):
    names = {"student": "student", "peer": "peer.1", "third": "peer.2", "fused": "fused"}
    return Fusion().lesson({names[k]: Outputs(names[k], z) for k, z in logits.items()})


def test_the_loss_of_the_paper():
    """At epoch 20 of a ramp over 80, temperature 3."""
    use = load_recipe("fusion").recipe.methods["kd"]
    ramp = weight_at(use.weight.model_copy(update={"over": "80 epochs"}), 20, 300)
    found = lesson(student=STUDENT, peer=TEACHER, fused=FUSED)
    total = sum(one.weight * F.cross_entropy(one.outputs.logits, LABELS) for one in found.learners)
    for pair in found.pairs:
        loss = kd_loss(pair.student.logits, pair.teacher.logits, use.options["temperature"])
        total += ramp * pair.weight * loss
    # the authors' program adds 1e-7 to the teacher's probabilities
    assert total.item() == pytest.approx(9.1475020550, abs=1e-5)


def test_the_fused_answer_teaches_and_the_ensemble_teaches_it():
    found = lesson(student=STUDENT, peer=TEACHER, third=STUDENT.flip(0), fused=FUSED)
    networks = ["student", "peer.1", "peer.2"]
    assert [(one.outputs.by, one.weight) for one in found.learners] == [
        (name, 1.0) for name in [*networks, "fused"]
    ]
    pairs = [(pair.student.by, pair.teacher.by, pair.weight) for pair in found.pairs]
    assert pairs == [*((name, "fused", 1.0) for name in networks), ("fused", "ensemble", 1.0)]
    mean = (STUDENT + TEACHER + STUDENT.flip(0)) / 3
    torch.testing.assert_close(found.pairs[-1].teacher.logits, mean)


# With networks -----------------------------------------------------------------------------------


def images(count=4):
    rows = torch.arange(count)
    noise = torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return Batch(noise, rows, torch.zeros(count, 5), rows, rows)


def learners(*names, sizes=(32, 32)):
    found = {}
    for i, (name, size) in enumerate(zip(names, sizes, strict=True)):
        by = f"peer.{i}" if i else "student"
        args = plan(name, 5, size, None)
        with seeded(0, by):
            found[by] = Tap(build(args), args, by).eval()
        found[by].show(View((found[by].stages.stages[-1].index,)), images(2).images)
    return found


def with_parts(*names, sizes=(32, 32), scheme=None):
    scheme = scheme or Fusion()
    models = learners(*names, sizes=sizes)
    parts = scheme.parts({name: tap(images()) for name, tap in models.items()}, ABOUT)
    return scheme, models, nn.ModuleDict(parts).eval()


def test_a_step_asks_everyone_once_and_gradients_pass_through_the_fusion():
    scheme, models, parts = with_parts("test_resnet", "test_efficientnet")
    asked = []
    for name, model in models.items():
        model.register_forward_hook(lambda *_, name=name: asked.append(name))
    outputs = scheme.step(models, parts, images())
    assert asked == list(models)
    assert list(outputs) == ["student", "peer.1", "fused"]
    assert outputs["fused"].embedding.shape[0] == 4
    outputs["fused"].logits.square().sum().backward()
    stems = models["student"].module.conv1[0], models["peer.1"].module.conv_stem
    assert all(stem.weight.grad.abs().sum() > 0 for stem in stems)
    assert models["student"].module.fc.weight.grad is None


def test_the_best_network_ships_and_the_fused_model_lies_beside():
    scheme, models, parts = with_parts("test_resnet", "test_resnet")
    assert scheme.ships(models, parts) == models
    assert list(scheme.beside(models, parts)) == ["student", "peer.1", "fused"]


def test_the_fused_model_ships_and_the_networks_lie_beside():
    scheme, models, parts = with_parts(
        "test_resnet", "test_efficientnet", scheme=Fusion(ships="fused")
    )
    (whole,) = scheme.ships(models, parts).values()
    assert scheme.beside(models, parts) == models
    with torch.no_grad():
        expected = scheme.step(models, parts, images())["fused"].logits
        found = whole.eval()(images()).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert whole.args.words == "test_resnet + test_efficientnet, fused"


def test_the_fused_model_is_that_of_the_living_networks():
    """It follows them, and a copy of all follows the copies."""
    scheme, models, parts = with_parts("test_resnet", "test_resnet", scheme=Fusion(ships="fused"))
    mine = scheme.ships(models, parts)["fused"]
    everyone = copy.deepcopy(
        nn.ModuleDict({"student": models["student"], "peer": models["peer.1"]})
    )
    theirs = scheme.ships({"student": everyone["student"], "peer.1": everyone["peer"]}, parts)
    with torch.no_grad():
        models["peer.1"].module.conv1[0].weight.add_(1)
    first = "module.networks.1.conv1.0.weight"
    living = models["peer.1"].module.conv1[0].weight
    assert torch.equal(mine.state_dict()[first], living)
    assert not torch.equal(theirs["fused"].state_dict()[first], living)


def test_networks_of_different_sizes_make_no_fused_model():
    scheme, models, parts = with_parts("test_resnet", "test_efficientnet", sizes=(32, 64))
    assert list(scheme.beside(models, parts)) == ["student", "peer.1"]
    with pytest.raises(
        UnmetNeeds, match=r"no fused model: test_efficientnet 64, test_resnet 32 px"
    ):
        Fusion(ships="fused").ships(models, parts)


def test_the_recipe_names_the_option_as_people_do():
    assert scheme_of(load_recipe("fusion").recipe).shipped == "best"
    ships = load_recipe("fusion", ("scheme.ships=fused",)).recipe
    assert scheme_of(ships).shipped == "fused"
