"""A teacher's answers, disturbed before any method sees them."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from kdcli.core.errors import UnmetNeeds
from kdcli.core.method import Method
from kdcli.core.records import Batch, Lesson, Outputs
from kdcli.recipe.match import Disturbance, Drop, Mask, Noise

Dice = list[torch.Generator]
"""One per image of the batch."""
Change = Callable[[tuple[Tensor, ...], Dice], tuple[Tensor, ...]]


def disturb(outputs: Outputs, batch: Batch, seed: int, rules: tuple[Disturbance, ...]) -> Outputs:
    """The outputs after each rule in turn.

    What befalls an image is a pure function of the seed, the image (`batch.index`), the place in
    the training (`batch.epoch`), who answered, and the rule's place in the list: neither the
    global generator nor the rest of the batch plays a part, but for the deviations that noise is
    measured by. So a resumed run is disturbed as the uninterrupted one, and a student's dropout
    draws what it would draw without.
    """
    for place, entry in enumerate(rules):
        dice = partial(_dice, batch, seed, outputs.by, place)
        outputs = _changed(outputs, entry.rule.on, _change(entry.rule), dice)
    return outputs


def disturb_teachers(
    lesson: Lesson, batch: Batch, seed: int, rules: tuple[Disturbance, ...]
) -> Lesson:
    """The lesson with the teacher's side of every pair disturbed; the answers that are held against
    labels stay as they are, also those of a peer that teaches."""
    pairs = [
        replace(pair, teacher=disturb(pair.teacher, batch, seed, rules)) if pair.teacher else pair
        for pair in lesson.pairs
    ]
    return replace(lesson, pairs=tuple(pairs))


def refuse_unread(rules: tuple[Disturbance, ...], methods: Iterable[Method]) -> None:
    """Raise UnmetNeeds if a rule disturbs what no method reads of a teacher: an idle rule."""
    read = set().union(*(method.needs for method in methods if method.needs_teacher))
    seen = read | ({"features"} if "preactivations" in read else set())
    for entry in rules:
        if entry.rule.on not in seen:
            raise UnmetNeeds(
                f"match.augment disturbs the teacher's {entry.rule.on}, which no method here reads",
                "leave that entry out, or add a method that does",
            )


def _changed(outputs: Outputs, on: str, change: Change, dice: Callable[[], Dice]) -> Outputs:
    """With one kind of answer changed; preactivations suffer the same as their features."""
    if on == "features":
        features = change(outputs.features, dice())
        return replace(
            outputs, features=features, preactivations=change(outputs.preactivations, dice())
        )
    if on == "logits":
        (logits,) = change((outputs.logits,), dice())
        return replace(outputs, logits=logits)
    if outputs.embedding is None:
        return outputs
    (embedding,) = change((outputs.embedding,), dice())
    return replace(outputs, embedding=embedding)


def _change(rule: Noise | Mask | Drop) -> Change:
    match rule:
        case Noise():
            return partial(_with_noise, rule)
        case Mask():
            return partial(_masked, rule)
        case Drop():
            return partial(_dropped, rule)


def _with_noise(rule: Noise, answers: tuple[Tensor, ...], dice: Dice) -> tuple[Tensor, ...]:
    """Of each disturbed image all maps are disturbed.

    Deviations are those of the batch: of all logits, of each channel, of each dimension of an
    embedding; uncorrected, so that one image alone has 0 and no NaN.
    """
    hit = _draw(dice, torch.rand, ()) < rule.probability
    noisy = []
    for answer in answers:
        over = None if rule.on == "logits" else [d for d in range(answer.ndim) if d != 1]
        deviation = answer.std(over, correction=0, keepdim=True)
        noise = _draw(dice, torch.randn, answer.shape[1:]) * deviation * rule.scale
        noisy.append(answer + noise * hit.view(-1, *[1] * (answer.ndim - 1)))
    return tuple(noisy)


def _masked(rule: Mask, answers: tuple[Tensor, ...], dice: Dice) -> tuple[Tensor, ...]:
    masked = []
    for answer in answers:
        cells = _draw(dice, torch.rand, (1, *answer.shape[2:])) < rule.share
        masked.append(answer.mean((2, 3), keepdim=True).where(cells, answer))
    return tuple(masked)


def _dropped(rule: Drop, answers: tuple[Tensor, ...], dice: Dice) -> tuple[Tensor, ...]:
    dropped = []
    for answer in answers:
        channels = (answer.shape[1], *[1] * (answer.ndim - 2))
        kept = _draw(dice, torch.rand, channels) >= rule.share
        # as dropout has it: the expected answer stays what it was
        dropped.append(answer * kept / (1 - rule.share))
    return tuple(dropped)


def _dice(batch: Batch, seed: int, by: str, place: int) -> Dice:
    """Fresh generators: asked again, they say the same."""
    device = batch.index.device
    keys = [(seed, index, batch.epoch, by, place) for index in batch.index.tolist()]
    return [torch.Generator(device).manual_seed(_hash(key)) for key in keys]


def _hash(key: tuple[int | float | str, ...]) -> int:
    """56 bits, the same on every machine and in every process, unlike hash(); well within the range
    that `manual_seed` takes."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=7).digest())


def _draw(dice: Dice, what: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
    """(B, *shape): each image's numbers from its own generator."""
    return torch.stack([what(shape, generator=die, device=die.device) for die in dice])
