"""One pass through the trunk shows everything, and agrees with the model's own forward."""

import copy

import pytest
import timm
import torch

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import Batch
from kdcli.models.build import build, plan, seeded
from kdcli.models.intermediates import intermediates
from kdcli.models.route import Route, View, turn_on_both_heads
from kdcli.models.stage_endings import endings
from kdcli.models.stages import stages_of
from kdcli.models.tap import Tap

TINY = timm.list_models("test_*")


def module_of(name, size=None, classes=5):
    args = plan(name, classes, size or 160, None)
    with seeded(0, name):
        return build(args).eval(), args


def noise(args, n=2):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 3, args.input_size, args.input_size, generator=generator)


def test_how_many_tiny_models_timm_has():
    assert len(TINY) == 18


@pytest.mark.parametrize("name", TINY)
@torch.no_grad()
def test_the_parts_add_up_to_the_whole(name):
    module, args = module_of(name)
    images, shown = noise(args), tuple(stage.index for stage in stages_of(args).stages)
    seen = Route(module, View(shown, embedding=True), images)(module, images)
    assert torch.allclose(seen["logits"], module(images), atol=1e-5)
    final = module.forward_features(images)
    assert torch.equal(seen["embedding"], module.forward_head(final, pre_logits=True))
    for found, stage in zip(seen["stages"], stages_of(args).stages, strict=True):
        assert found.shape == (2, stage.channels, stage.height, stage.width)
        (alone,) = intermediates(module, images, [stage.index])
        assert torch.equal(found, alone)


@pytest.mark.parametrize("name", TINY)
def test_gradients_flow_back_into_the_trunk_from_everything(name):
    module, args = module_of(name)
    images, shown = noise(args), (stages_of(args).stages[-1].index,)
    seen = Route(module, View(shown, embedding=True), images)(module, images)
    first = next(iter(module.parameters()))
    for value in (seen["logits"], seen["embedding"], seen["stages"][0]):
        (gradient,) = torch.autograd.grad(value.square().sum(), first, retain_graph=True)
        assert gradient.abs().sum() > 0


def test_one_pass_whatever_is_shown():
    module, args = module_of("test_resnet")
    images = noise(args)
    route = Route(module, View((1, 2, 4), embedding=True, preactivations=True), images)
    passes = []
    module.conv1.register_forward_hook(lambda *_: passes.append(1))
    route(module, images)
    assert len(passes) == 1


def test_nothing_is_moved_by_finding_the_route():
    module, args = module_of("test_resnet")
    module.train()
    before = copy.deepcopy(module.state_dict())
    Route(module, View((1, 2), embedding=True, preactivations=True), noise(args))
    assert module.training
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


# Endings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("test_resnet", ["act1", *(f"layer{i}.0.act{2 if i < 3 else 3}" for i in (1, 2, 3, 4))]),
        ("resnet18", ["act1", *(f"layer{i}.1.act2" for i in (1, 2, 3, 4))]),
        ("mobilenetv2_035", [None] * 5),
    ],
)
def test_what_ends_a_stage(name, expected):
    module, args = module_of(name, 64)
    table = stages_of(args)
    found = endings(module, noise(args), [stage.index for stage in table.stages])
    names = {id(part): key for key, part in module.named_modules()}
    acts = [names.get(id(ending.activation)) for ending in found]
    assert [bool(act) for act in acts] == [bool(act) for act in expected]
    if name == "resnet18":
        assert acts == expected
        norms = [names.get(id(ending.norm)) for ending in found]
        assert norms == ["bn1", *(f"layer{i}.1.bn2" for i in (1, 2, 3, 4))]


@torch.no_grad()
def test_preactivations_are_what_the_last_relu_was_given():
    module, args = module_of("resnet18", 64)
    for part in module.modules():  # else timm's residual branches begin at 0
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(part.weight)
    images = noise(args)
    seen = Route(module, View((1, 3), preactivations=True), images)(module, images)
    for before, after in zip(seen["preactivations"], seen["stages"], strict=True):
        assert before.min() < 0
        assert torch.equal(before.relu(), after)


@torch.no_grad()
def test_a_stage_that_ends_without_an_activation_is_its_own_preactivation():
    module, args = module_of("mobilenetv2_035", 64)
    images = noise(args)
    seen = Route(module, View((2, 3), preactivations=True), images)(module, images)
    assert all(map(torch.equal, seen["preactivations"], seen["stages"]))


def test_a_copy_looks_at_itself():
    """As the moving average of the weights does."""
    module, args = module_of("resnet18", 64)
    tap = Tap(module, args, "student")
    tap.show(View((1, 2), preactivations=True), torch.rand(2, 3, 64, 64))
    other = copy.deepcopy(tap)
    with torch.no_grad():
        for parameter in other.module.parameters():
            parameter.mul_(1.5)
    images = torch.rand(2, 3, 64, 64)
    rows = torch.arange(2)
    batch = Batch(images, rows, torch.zeros(2, 5), rows, rows)
    seen = other(batch)
    assert torch.equal(seen.preactivations[0].relu(), seen.stages[0])
    assert not torch.allclose(seen.stages[0], tap(batch).stages[0])


# Two heads ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["deit_tiny_distilled_patch16_224", "repvit_m0_9", "levit_128s"])
def test_both_heads_of_a_model_with_a_distillation_token(name):
    module, args = module_of(name, 224)
    images = noise(args)
    turn_on_both_heads(module)
    route = Route(module, View(heads=True), images)
    with torch.no_grad():
        seen = route(module, images)
        assert seen["heads"].shape == (2, 2, 5)
        assert not torch.allclose(seen["heads"][:, 0], seen["heads"][:, 1])
        assert torch.allclose(seen["logits"], module(images), atol=1e-5)  # both, averaged
        assert torch.allclose(seen["logits"], seen["heads"].mean(1), atol=1e-5)
        module.train()
        seen = route(module, images)
        assert torch.equal(seen["logits"], seen["heads"][:, 0])  # the labels teach the class head
        assert all(part.training for part in module.modules())


@pytest.mark.parametrize("name", ["test_resnet", "iformer_t"])
def test_a_model_without_a_second_head_is_refused(name):
    module, args = module_of(name, 160 if name == "test_resnet" else 224)
    tap = Tap(module, args, "student")
    images = torch.rand(2, 3, args.input_size, args.input_size)
    with pytest.raises(UnmetNeeds, match="no distillation head") as raised:
        tap.show(View(heads=True), images)
    assert "deit_tiny_distilled" in raised.value.fix


# Refusals ----------------------------------------------------------------------------------------


def test_a_model_whose_parts_do_not_add_up_is_refused(monkeypatch):
    module, args = module_of("test_resnet")
    whole = type(module).forward
    monkeypatch.setattr(type(module), "forward", lambda self, x: whole(self, x) + 1)
    with pytest.raises(UnmetNeeds, match="do not add up"):
        Route(module, View((1,)), noise(args))


def test_a_stage_that_is_overwritten_is_refused():
    module, args = module_of("test_resnet")

    def overwrite(_, inputs):
        inputs[0].add_(1)

    module.layer4.register_forward_pre_hook(overwrite)
    with pytest.raises(UnmetNeeds, match="stage 3 is overwritten"):
        Route(module, View((3,)), noise(args))
