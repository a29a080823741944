"""Networks whose last maps are fused: the published module, maps that differ, one model of them."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from kdcli.core.errors import UnmetNeeds, UsageError
from kdcli.core.records import Batch
from kdcli.deploy.onnx_file.session import open_session
from kdcli.deploy.onnx_file.write import export_onnx
from kdcli.evaluation.cost import costs
from kdcli.models.build import build, plan, seeded
from kdcli.models.fusion import Fused, FusionBlock
from kdcli.models.model_args import ModelArgs
from kdcli.models.route import View
from kdcli.models.stages import stages_of
from kdcli.models.tap import Tap

CLASSES, SIZE = 5, 64


def maps(*shapes, images=4):
    noise = torch.Generator().manual_seed(0)
    return [torch.rand(images, *shape, generator=noise) for shape in shapes]


def last_map(args):
    stage = stages_of(args).stages[-1]
    return stage.channels, stage.height, stage.width


def fused_args(*names):
    first, *others = (plan(name, CLASSES, SIZE, None) for name in names)
    return replace(first, peers=tuple(others), maps=tuple(map(last_map, (first, *others))))


def built(args):
    with seeded(0, "student"):
        return build(args).eval()


TWINS = fused_args("test_resnet", "test_resnet")
STRANGERS = fused_args("test_resnet", "test_efficientnet")


# The block ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_maps_of_one_shape_meet_the_published_module(training):
    shape, both = (6, 3, 4), 12
    depthwise = nn.Conv2d(both, both, 3, padding=1, groups=both, bias=False)
    pointwise = nn.Conv2d(both, 6, 1, bias=False)
    norms, classifier = (nn.BatchNorm2d(both), nn.BatchNorm2d(6)), nn.Linear(6, CLASSES)
    block = FusionBlock([shape, shape], CLASSES).train(training)
    own = [part for part in block.modules() if not list(part.children()) and part.state_dict()]
    assert len(own) == 5
    published = (depthwise, norms[0], pointwise, norms[1], classifier)
    for mine, theirs in zip(own, published, strict=True):
        theirs.load_state_dict(mine.state_dict())
        theirs.train(training)
    one, other = maps(shape, shape)
    seen = norms[0](depthwise(torch.cat([one, other], 1))).relu()
    pooled = norms[1](pointwise(seen)).relu().flatten(2).mean(2)
    logits, embedding = block([one, other])
    torch.testing.assert_close(embedding, pooled)
    torch.testing.assert_close(logits, classifier(pooled))


def test_its_convolutions_begin_as_published():
    block = FusionBlock([(40, 2, 2), (80, 2, 2)], CLASSES)
    for layer in block.modules():
        if isinstance(layer, nn.Conv2d):
            spread = math.sqrt(2 / (layer.kernel_size[0] ** 2 * layer.out_channels))
            assert layer.weight.std().item() == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize(
    ("shapes", "width"),
    [
        ([(6, 3, 3), (8, 3, 3)], 6),
        ([(6, 7, 7), (6, 5, 4), (9, 5, 5)], 6),
        ([(600, 1, 1), (700, 1, 1)], 512),
        ([(600, 1, 1), (600, 1, 1)], 600),
    ],
)
def test_maps_that_differ_are_brought_together(shapes, width):
    block = FusionBlock(shapes, CLASSES)
    logits, embedding = block(maps(*shapes))
    assert logits.shape == (4, CLASSES)
    assert embedding.shape == (4, width)
    aligned = {align(one).shape[1:] for align, one in zip(block.align, maps(*shapes), strict=True)}
    assert aligned == {(width, min(h for _, h, _ in shapes), min(w for _, _, w in shapes))}


def test_gradients_reach_every_map():
    seen = [one.requires_grad_() for one in maps((6, 3, 3), (8, 2, 2))]
    FusionBlock([(6, 3, 3), (8, 2, 2)], CLASSES)(seen)[0].square().sum().backward()
    assert all(one.grad.abs().sum() > 0 for one in seen)


# The model ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [TWINS, STRANGERS], ids=["twins", "strangers"])
def test_a_fused_model_survives_model_pt(args):
    raw = args.as_dict()
    listed = raw | {"peers": list(raw["peers"]), "maps": [list(one) for one in raw["maps"]]}
    assert ModelArgs.from_dict(raw) == ModelArgs.from_dict(listed) == args
    build(ModelArgs.from_dict(raw)).load_state_dict(built(args).state_dict())
    keys = {key.partition(".")[0] for key in built(args).state_dict()}
    assert keys == {"networks", "fusion"}


def test_files_of_before_are_not_fused():
    old = {k: v for k, v in TWINS.single.as_dict().items() if k not in ("peers", "maps")}
    assert ModelArgs.from_dict(old) == TWINS.single


@pytest.mark.parametrize(
    "wrong",
    [
        {"maps": TWINS.maps[:1]},
        {"copies": 2},
        {"peers": (replace(TWINS.single, input_size=32),)},
        {"peers": (replace(TWINS.single, num_classes=9),)},
        {"peers": (TWINS,)},
    ],
)
def test_what_cannot_be_fused_is_refused(wrong):
    with pytest.raises(UsageError, match="cannot be fused"):
        replace(TWINS, **wrong)


def test_it_answers_as_its_taps_and_their_fusion_do():
    """Also where its networks are normalised otherwise than the first."""
    args = replace(STRANGERS, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    module = built(args)
    assert isinstance(module, Fused)
    images = torch.rand(3, 3, SIZE, SIZE)
    zeros = torch.zeros(3, dtype=torch.int64)
    batch = Batch(images, zeros, torch.zeros(3, CLASSES), zeros, zeros)
    taps = [Tap(net, a, "") for net, a in zip(module.networks, args.networks, strict=True)]
    with torch.no_grad():
        for tap in taps:
            tap.eval().show(View((0, tap.stages.stages[-1].index)), images)
        expected, _ = module.fusion([tap(batch).stages[-1] for tap in taps])
        found = Tap(module, args, "fused").eval()(batch).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_it_costs_what_all_its_networks_cost():
    parts = [costs(one) for one in STRANGERS.networks]
    block = FusionBlock(STRANGERS.maps, CLASSES)
    own = sum(p.numel() for p in block.parameters())
    whole = costs(STRANGERS)
    assert whole["params"] == sum(part["params"] for part in parts) + own
    assert whole["macs"] > 0.9 * sum(part["macs"] for part in parts)


@pytest.mark.parametrize("args", [TWINS, STRANGERS], ids=["twins", "strangers"])
@pytest.mark.slow
def test_the_exported_model_answers_alike(args, tmp_path):
    module, path = built(args), tmp_path / "model.onnx"
    export_onnx(module, path, input_size=(SIZE, SIZE), metadata={})
    session, images = open_session(path), torch.rand(7, 3, SIZE, SIZE)
    with torch.no_grad():
        expected = module(images)
    for size in (1, 7):
        found = torch.from_numpy(session(images[:size].numpy()))
        torch.testing.assert_close(found, expected[:size], atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_grids_that_do_not_divide_are_exported_too(tmp_path):
    class FromImages(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = FusionBlock([(3, 7, 7), (3, 5, 5)], CLASSES)

        def forward(self, images):
            return self.block([images, images[:, :, 1:6, 1:6]])[0]

    module, path, images = FromImages().eval(), tmp_path / "model.onnx", torch.rand(2, 3, 7, 7)
    export_onnx(module, path, input_size=(7, 7), metadata={})
    found = torch.from_numpy(open_session(path)(images.numpy()))
    torch.testing.assert_close(found, module(images).detach(), atol=1e-5, rtol=1e-4)


def test_it_shows_nothing_but_its_answer():
    tap = Tap(built(TWINS), TWINS, "teacher.0")
    with pytest.raises(UnmetNeeds, match=r"test_resnet \+ test_resnet, fused: nothing is shown"):
        _ = tap.stages
