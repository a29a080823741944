"""The model that learns: built as its spec says, or its classifier alone on a frozen trunk."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from kdcli.core.errors import UsageError
from kdcli.data.loader import plain_batches
from kdcli.data.store import InMemory, Store
from kdcli.models.build import build, plan, seeded
from kdcli.models.checkpoint import Weights
from kdcli.models.given import begin, start_args
from kdcli.models.head_only import embed, head_of
from kdcli.models.model_args import ModelArgs
from kdcli.models.tap import Tap
from kdcli.models.weights import ensure_reachable
from kdcli.recipe.load import scheme_of
from kdcli.runs.spec import Spec
from kdcli.training.site import Site


@dataclass(frozen=True, eq=False)
class Learning:
    """What learns, from what, and how it becomes the model that ships."""

    learner: nn.Module
    training: Store
    validation: Store
    whole: Callable[[Weights], Weights]
    """The state dict of the model that ships, with timm's own keys, from the learnt weights."""


def build_peers(spec: Spec, student: Tap, site: Site, rehearsal: bool) -> dict[str, Tap]:
    """Those that learn beside `student`: each draws random weights of its own, and a copy of the
    student begins with the student's pretrained or given ones, where it has such.

    Each has a role of its own (`peer.1`), so that a further peer changes nothing of the others.

    Raises:
        UsageError: two of them begin with the very same weights, and would never part.
    """
    found = {"student": student}
    for i, model in enumerate(spec.peers, 1):
        weights = spec.weights if model == spec.model else None
        of_peer = spec.model_copy(update={"model": model, "weights": weights})
        by = f"peer.{i}"
        peer = build_learner(of_peer, site, rehearsal, by, start=by)
        for other, one in found.items():
            if _alike(one, peer):
                raise UsageError(
                    f"{by} begins with the very weights of {other} ({model}), its classifier too: "
                    "they would never part",
                    "--set student.pretrained=false (random weights, each its own), the model's "
                    "name without a file, or --peer with another model",
                )
        found[by] = peer
    return {by: peer for by, peer in found.items() if by != "student"}


def _alike(one: Tap, other: Tap) -> bool:
    """To the last bit, the classifier too: one that is made anew is enough to part two networks."""
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(
        first[key].shape == second[key].shape and torch.equal(first[key], second[key])
        for key in first
    )


def learner_args(spec: Spec, classes: int) -> ModelArgs:
    """Of the model that learns, with as many heads or copies as its scheme wants."""
    recipe, options = spec.recipe, spec.weights.options if spec.weights else None
    size = int(recipe.data.image_size)
    args = plan(spec.model, classes, size, recipe.student.stem_stride, options)
    return replace(args, **scheme_of(recipe).student_args(len(spec.members)))


def build_learner(
    spec: Spec, site: Site, rehearsal: bool, by: str = "student", start: str = ""
) -> Tap:
    """The model that learns; a student and its baseline begin with the same weights, others with
    those of `start`. A rehearsal begins at random where timm's weights would have to be fetched.

    `by` is who answers (`Outputs.by`), `start` the role that its random weights are drawn for;
    empty: as its spec says (`Spec.start`).

    Raises:
        DamagedFile: starting weights that cannot be read, or are not finite.
        UsageError: starting weights of another model.
        WeightsUnavailable: pretrained weights were asked for and cannot be had.
    """
    settings, size = spec.recipe.student, int(spec.recipe.data.image_size)
    args, weights = learner_args(spec, site.classes), spec.weights
    if args.input_size != size:
        site.progress.say(
            f"{spec.model} does not take {size} pixels: images are resized to its own "
            f"{args.input_size}"
        )
    fetched = bool(settings.pretrained) and weights is None and not rehearsal
    if fetched:
        ensure_reachable(spec.model)
    with seeded(spec.seed, start or spec.start):
        module = build(args, pretrained=fetched)
    if weights is not None:  # in a rehearsal too: what does not fit is told before the training
        args = start_args(args, weights)
        begin(module, args, weights, site.source.classes, site.progress)
    return Tap(module, args, by, settings.precision).to(site.device)


def learning_of(spec: Spec, tap: Tap, images: tuple[Store, Store], site: Site) -> Learning:
    """What `train.tune` says of these images, to learn from and of validation."""
    whole = spec.recipe.train.tune == "all"
    return all_of_it(tap, *images) if whole else head_only(tap, *images, site)


def all_of_it(tap: Tap, training: Store, validation: Store) -> Learning:
    """The whole model, from images; its tap resizes and normalises them."""
    return Learning(tap, training, validation, timm_keys)


def head_only(tap: Tap, training: Store, validation: Store, site: Site) -> Learning:
    """The classifier alone, from what its trunk says of every image. Embeddings take the place of
    the images, so that loop, schedule and resume state are those of any training.

    Raises:
        UsageError: the model has no single classifier that could be fitted alone.
    """
    seen = _embedded(tap, training, site)
    held_out = _embedded(tap, validation, site)
    # of the training images alone: validation must not have a say. A dimension that never moves
    # (a ReLU that is dead on these images) is not divided by 0
    mean, std = seen.mean(0), seen.std(0).clamp(min=1e-6)
    learner, whole = head_of(tap, mean, std)
    return Learning(
        learner,
        InMemory((seen - mean) / std, training.labels),
        InMemory((held_out - mean) / std, validation.labels),
        whole,
    )


def timm_keys(weights: Weights) -> Weights:
    """Without the prefix under which a tap holds its module: model.pt has timm's own keys."""
    return {key.removeprefix("module."): value for key, value in weights.items()}


def _embedded(tap: Tap, store: Store, site: Site) -> Tensor:
    """(N, D): what the trunk says of every image."""
    batches = plain_batches(store, num_classes=site.classes, batch_size=64)
    waited = site.progress.track(batches, -(-len(store) // 64), "trunk over the images")
    return embed(tap, waited, site.device)
