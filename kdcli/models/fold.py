"""Several heads become one: a mean of logits passes through an affine last layer.

K classes. Heads share a trunk, so the weighted mean of what they answer is the answer of the mean
of their weights. That is the panel's own answer where it is the mean of logits; where it is the
mean of probabilities, folding takes their geometric mean for the arithmetic one.
"""

import torch
from torch import Tensor, nn

from kdcli.core.errors import UnmetNeeds
from kdcli.models.build import build, build_meta
from kdcli.models.checkpoint import Weights
from kdcli.models.heads import split
from kdcli.models.model_args import ModelArgs

TOLERANCE = 1e-5
"""Of the largest logit. Measured: rounding comes to 4e-7 of it at most, heads that do not fold
(VOLO's) to 0.09."""


def fold(module: nn.Module, args: ModelArgs, images: Tensor) -> nn.Module:
    """The model that `args.single` builds, whose logits are the weighted mean of the heads'.

    Tried on `images`, (B, 3, H, W), ready to be fed: shapes do not tell. VOLO's would fit, but it
    adds the largest of its tokens' answers, and a mean does not pass through a maximum.

    Raises:
        UnmetNeeds: this model's heads do not fold.
    """
    folded = build(args.single).eval()
    folded.load_state_dict(folded_state(module.state_dict(), args))
    with torch.no_grad():
        heads = split(module.eval()(images), args.heads)
        expected, found = torch.einsum("h,bhk->bk", _weights(args, heads), heads), folded(images)
    if not (found - expected).abs().max() <= TOLERANCE * expected.abs().max():  # NaN neither
        raise _not_affine(args)
    return folded


def folded_state(state: Weights, args: ModelArgs) -> Weights:
    """The state dict of `args.single`: what has a row per head and class is averaged over heads.

    Told by shapes, whatever the layers are called: Linear, 1x1 convolution, norm and linear in one,
    one classifier per branch, per stage or per token. All of timm's modules have such rows.

    Raises:
        UnmetNeeds: the two models differ in more than these rows.
    """
    expected = build_meta(args.single).state_dict()
    if state.keys() != expected.keys():
        raise _not_affine(args)
    return {key: _folded(state[key], like, args) for key, like in expected.items()}


def _folded(value: Tensor, like: Tensor, args: ModelArgs) -> Tensor:
    if value.shape == like.shape:
        return value
    heads, classes = args.heads, args.num_classes
    if value.shape != (heads * classes, *like.shape[1:]) or len(like) != classes:
        raise _not_affine(args)
    rows = value.reshape(heads, classes, *like.shape[1:])
    return torch.einsum("h,h...->...", _weights(args, rows), rows)


def _weights(args: ModelArgs, like: Tensor) -> Tensor:
    return like.new_tensor(args.panel.weights)


def _not_affine(args: ModelArgs) -> UnmetNeeds:
    return UnmetNeeds(
        f"the heads of {args.name} do not fold: its logits are no affine function of what its "
        "trunk sees",
        "kd export --fold never keeps all heads",
    )
