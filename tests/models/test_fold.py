"""Heads become one: for every kind of classifier that timm has, and what is refused."""

from dataclasses import replace

import pytest
import timm
import torch
from one_of_each import ONE_OF_EACH

from kdcli.core.errors import UnmetNeeds
from kdcli.models.build import build, build_meta, plan, seeded
from kdcli.models.fold import fold, folded_state
from kdcli.models.heads import split

KINDS = {
    "Linear": ("test_resnet", 32),
    "1x1 Conv2d": ("resnetv2_18", 32),
    "LinearLayer": ("cpubone_nano", 32),
    "ClassifierHead": ("regnetx_002", 32),
    "NormMlpClassifierHead": ("test_convnext", 32),
    "MlpHead": ("caformer_s18", 32),
    "NormLinear, twice": ("levit_128s", 64),
    "RepVitClassifier": ("repvit_m0_9", 32),
    "one per branch": ("crossvit_tiny_240", 48),
    "one per stage": ("efficientvim_m1", 64),
    "two tokens": ("deit_tiny_distilled_patch16_224", 32),
}
QUICK = ("Linear", "1x1 Conv2d", "NormMlpClassifierHead", "RepVitClassifier", "two tokens")
WEIGHTS = (0.5, 0.3, 0.2)


def apart(name, size, aggregate="logits"):
    """A model whose three heads differ widely, and images for it."""
    args = replace(plan(name, 5, size, None), heads=3, weights=WEIGHTS, aggregate=aggregate)
    with seeded(0, "test"):
        module = build(args).eval()
        for parameter in module.parameters():
            if len(parameter) == 15:
                torch.nn.init.normal_(parameter)
        return module, args, torch.rand(4, 3, args.input_size, args.input_size)


@pytest.mark.parametrize(
    "kind", [k if k in QUICK else pytest.param(k, marks=pytest.mark.slow) for k in KINDS]
)
def test_the_folded_logits_are_the_mean_of_the_heads(kind):
    module, args, images = apart(*KINDS[kind])
    folded = fold(module, args, images[:2])
    with torch.no_grad():
        heads = split(module(images), 3)
        expected = torch.einsum("h,bhk->bk", torch.tensor(WEIGHTS), heads)
        found = folded(images)
    size = expected.abs().max().item()
    torch.testing.assert_close(found / size, expected / size, atol=1e-5, rtol=0)
    assert (heads[:, 0] - heads[:, 1]).abs().max() > 0.1 * size, "else anything would fold"
    assert folded.state_dict().keys() == build_meta(args.single).state_dict().keys()


def test_of_probabilities_it_is_the_geometric_mean():
    module, args, images = apart("test_resnet", 32, aggregate="probabilities")
    with torch.no_grad():
        heads = split(module(images), 3).softmax(2)
        found = fold(module, args, images)(images).softmax(1)
    product = (heads ** torch.tensor(WEIGHTS).view(1, -1, 1)).prod(1)
    torch.testing.assert_close(found, product / product.sum(1, keepdim=True))


def test_what_is_not_affine_is_refused():
    """VOLO adds the largest of its tokens' answers, class by class."""
    module, args, images = apart("volo_d1_224", 64)
    with pytest.raises(UnmetNeeds, match="heads of volo_d1_224 do not fold"):
        fold(module, args, images)


def test_another_state_is_refused():
    module, args, _ = apart("test_resnet", 32)
    state = module.state_dict()
    with pytest.raises(UnmetNeeds, match="do not fold"):
        folded_state(state | {"fc.weight": state["fc.weight"][:, :3]}, args)
    with pytest.raises(UnmetNeeds, match="do not fold"):
        folded_state(state | {"more": state["fc.bias"]}, args)


# Every module of timm ----------------------------------------------------------------------------

SEVERAL = {
    "crossvit": 4,
    "efficientformer": 4,
    "efficientformer_v2": 4,
    "efficientvim": 8,
    "levit": 4,
    "repvit": 4,
    "swiftformer": 4,
    "volo": 4,
}
"""Weights and biases that have a row per class, where they are more than those of one layer."""


@pytest.mark.slow
@pytest.mark.parametrize("module", sorted(ONE_OF_EACH))
def test_heads_of_every_module_have_the_shapes_that_fold(module):
    config = timm.get_pretrained_cfg(ONE_OF_EACH[module])
    size = config.input_size[-1] if config else 224
    args = replace(plan(ONE_OF_EACH[module], 5, size, None), heads=3)
    model = build_meta(args).eval()
    with torch.no_grad():
        images = torch.empty(2, 3, args.input_size, args.input_size, device="meta")
        assert model(images).shape == (2, 15)
    state, folded = model.state_dict(), folded_state(model.state_dict(), args)
    rows = [key for key in state if state[key].shape != folded[key].shape]
    assert len(rows) == SEVERAL.get(module, 2)


@pytest.mark.slow
def test_how_many_modules_were_looked_at():
    assert len(ONE_OF_EACH) == 98
    assert set(SEVERAL) <= set(ONE_OF_EACH)
