"""A classifier on a frozen trunk: the trunk is asked once, and only the classifier learns."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from kdcli.core.errors import UsageError
from kdcli.core.records import Batch, Outputs
from kdcli.models.checkpoint import Weights
from kdcli.models.tap import Tap


class Head(nn.Module):
    """The last layer of a model, asked about embeddings: `Batch.images` are (B, D)."""

    def __init__(self, classifier: nn.Module, by: str) -> None:
        super().__init__()
        self.module = classifier
        self.by = by

    def forward(self, batch: Batch) -> Outputs:
        logits: Tensor = self.module(batch.images)
        return Outputs(self.by, logits.float(), embedding=batch.images)


def head_of(tap: Tap, mean: Tensor, std: Tensor) -> tuple[Head, Callable[[Weights], Weights]]:
    """The tap's classifier as a learner, and how its weights complete the model's state dict.

    It learns from embeddings brought to `mean` (D,) 0 and `std` (D,) 1, whatever the trunk's own
    scale, so that one learning rate suits all (`plan.defaults.HEAD_ONLY`). It begins with the
    answers that the classifier gives now, W x + b = (W std) ((x - mean) / std) + (b + W mean);
    completing takes that back, and model.pt is a plain timm model again.
    """
    name = classifier_name(tap.module)
    trunk = {key: value.cpu() for key, value in tap.module.state_dict().items()}
    given = tap.module.get_submodule(name)
    assert isinstance(given, nn.Linear)  # embed has refused others
    classifier = nn.Linear(given.in_features, given.out_features)
    with torch.no_grad():
        classifier.weight.copy_(given.weight.cpu() * std)
        classifier.bias.copy_(given.bias.cpu() + given.weight.cpu() @ mean)

    def whole(learnt: Weights) -> Weights:
        weight = learnt["module.weight"] / std
        bias = learnt["module.bias"] - weight @ mean
        return trunk | {f"{name}.weight": weight, f"{name}.bias": bias}

    return Head(classifier.to(tap.mean.device), tap.by), whole


def classifier_name(module: nn.Module) -> str:
    """What the last layer is called in the state dict: `fc`, `classifier`, `head.fc`, ...; empty
    for a model with several, of which timm hands out a tuple."""
    head = module.get_classifier()  # type: ignore[operator]  # every classifier of timm has it
    return next((name for name, part in module.named_modules() if part is head), "")


@torch.no_grad()
def embed(tap: Tap, batches: Iterable[Batch], device: torch.device) -> Tensor:
    """(N, D) float32 pre-logits vectors of every image, in order; in fp32 and eval mode.

    Once for all epochs, hence of images as they are: what varies them is refused with tune=head.

    Raises:
        UsageError: the model's answer is not its last layer's over one vector.
    """
    if max(tap.args.heads, tap.args.copies) > 1:
        raise UsageError(
            f"{tap.args.name} has several heads or copies; only one classifier is fitted alone",
            "train all of it: --set train.tune=all",
        )
    tap.eval()
    found: list[Tensor] = []
    for batch in batches:
        images = tap.prepare(batch.images.to(device))
        vectors = _vectors(tap.module, images)
        if not found:
            _check(tap.module, images, vectors)
        found.append(vectors.float().cpu())
    return torch.cat(found)


def _vectors(module: nn.Module, images: Tensor) -> Tensor:
    features = module.forward_features(images)  # type: ignore[operator]
    vectors: Tensor = module.forward_head(features, pre_logits=True)  # type: ignore[operator]
    return vectors


def _check(module: nn.Module, images: Tensor, vectors: Tensor) -> None:
    """Some models have two classifiers, or more behind them, and completing needs a bias to change.

    Tried on the first batch, since only an answer tells.
    """
    name = classifier_name(module)
    head = module.get_submodule(name) if name else None
    if isinstance(head, nn.Linear) and head.bias is not None and vectors.ndim == 2:
        answers, expected = head(vectors), module(images)
        if answers.shape == expected.shape and torch.allclose(answers, expected, atol=1e-4):
            return
    raise UsageError(
        f"{type(module).__name__} has no single classifier that could be fitted alone",
        "train all of it: --set train.tune=all (or teacher.tune=all)",
    )
