"""Early exits: their heads' shapes, and that the smaller model answers as the whole one does."""

from dataclasses import replace

import pytest
import timm
import torch
from one_of_each import ONE_OF_EACH

from kdcli.core.errors import UnmetNeeds, UsageError
from kdcli.evaluation.cost import macs, parameters
from kdcli.models.build import build, build_meta, plan, seeded
from kdcli.models.early_exits import EarlyExit, ExitHead
from kdcli.models.intermediates import intermediates
from kdcli.models.model_args import ModelArgs
from kdcli.models.route import View
from kdcli.models.stage_matching import milestones
from kdcli.models.stages import stages_of
from kdcli.models.tap import Tap

CLASSES = 5
SMALL = ["test_resnet", "test_efficientnet", "test_vit"]


def planned(name: str, size: int = 64) -> ModelArgs:
    return plan(name, CLASSES, size, None)


def early(args: ModelArgs) -> list[int]:
    """The stages in front of the last."""
    return [stage.index for stage in milestones(stages_of(args))[:-1]]


def leaving(args: ModelArgs, index: int) -> ModelArgs:
    """The same model, ending at this stage."""
    *stages, last = stages_of(args).stages
    (stage,) = [one for one in stages if one.index == index]
    maps = tuple((one.channels, one.height, one.width) for one in (stage, last))
    return replace(args, exit=index, maps=maps)


@pytest.mark.parametrize("name", SMALL)
def test_a_head_ends_as_the_last_stage_does(name):
    args = planned(name)
    *stages, last = milestones(stages_of(args))
    assert stages
    for stage in stages:
        head = build(leaving(args, stage.index)).head.eval()
        features, pooled, logits = head(torch.rand(2, stage.channels, stage.height, stage.width))
        assert features.shape == (2, last.channels, last.height, last.width)
        assert pooled.shape == (2, last.channels)
        assert logits.shape == (2, CLASSES)
        halvings = {"test_vit": 0}.get(name, round(stage.height / last.height).bit_length() - 1)
        assert len(head.blocks) == max(halvings, 1)


def test_a_head_of_a_stage_on_the_last_grid_keeps_it():
    head = ExitHead((8, 4, 4), (12, 4, 4), CLASSES)
    assert [conv.stride for conv in head.modules() if hasattr(conv, "stride")] == [(1, 1)] * 4


@pytest.mark.parametrize("name", SMALL)
def test_an_exit_is_smaller_and_answers_as_the_whole_trunk_does(name):
    args = planned(name)
    before = parameters(build_meta(args))
    for index in early(args):
        check(args, index)
    costs = [build_meta(leaving(args, index)) for index in early(args)]
    trunks = [parameters(one.trunk) for one in costs]
    assert trunks == sorted(trunks)
    assert trunks[-1] < before
    size = (args.input_size, args.input_size)
    assert macs(costs[0], size) < macs(build_meta(args), size)


def check(args: ModelArgs, index: int) -> None:
    """Cut off or not, the trunk's stage is the same, and so are its weights."""
    with seeded(0, "exit"):
        trunk = build(args).eval()
    one = build(leaving(args, index)).eval()
    live = EarlyExit(trunk, one.head, index).eval()
    images = torch.rand(1, 3, args.input_size, args.input_size)
    with torch.no_grad():
        (features,) = intermediates(trunk, images, [index], stop_early=True)
        _, _, expected = one.head(features)
        torch.testing.assert_close(live(images), expected, rtol=1e-4, atol=1e-5)
        one.load_state_dict(live.state_dict())
        torch.testing.assert_close(one(images), expected, rtol=1e-4, atol=1e-5)
    live(images).sum().backward()
    read = [weight for weight in live.trunk.parameters() if weight.grad is not None]
    assert {*map(id, read)} <= {*map(id, trunk.parameters())}
    assert read
    assert trunk(images).shape == (1, CLASSES), "the trunk itself stays whole"


def test_training_the_trunk_trains_the_exit():
    args = planned("test_resnet")
    trunk = build(args)
    one = EarlyExit(trunk, build(leaving(args, 1)).head, 1)
    trunk.train()(torch.rand(2, 3, 64, 64)).sum().backward()
    with torch.no_grad():
        trunk.conv1[0].weight += 1
    assert torch.equal(one.trunk.conv1[0].weight, trunk.conv1[0].weight)
    assert torch.equal(one.trunk.bn1.running_mean, trunk.bn1.running_mean)


def test_an_exit_has_one_head_and_the_shapes_of_its_maps():
    args = leaving(planned("test_resnet"), 1)
    assert ModelArgs.from_dict(args.as_dict()) == args
    for wrong in ({"heads": 2}, {"maps": ()}, {"peers": (args.single,)}):
        with pytest.raises(UsageError, match="an exit with several heads"):
            replace(args, **wrong)


def test_an_exit_shows_nothing_but_its_answer():
    args = leaving(planned("test_resnet"), 1)
    tap = Tap(build(args), args, "teacher.0")
    with pytest.raises(UnmetNeeds, match="an exit of test_resnet"):
        tap.show(View(embedding=True), torch.rand(2, 3, 64, 64))
    with pytest.raises(UnmetNeeds, match="an exit of test_resnet"):
        _ = tap.stages


@pytest.mark.slow
@pytest.mark.parametrize("module", sorted(ONE_OF_EACH))
def test_a_model_of_every_module_can_end_early(module):
    name = ONE_OF_EACH[module]
    config = timm.get_pretrained_cfg(name)
    args = planned(name, min(config.input_size[-1], 224) if config else 224)
    for index in early(args)[:1]:
        check(args, index)
