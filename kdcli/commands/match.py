"""`kd match`: which stage of a student answers which of a teacher, and what that allows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

import torch
from torch import Tensor

from kdcli.commands.list import KINDS
from kdcli.core import registry
from kdcli.core.class_order import places_in
from kdcli.core.errors import UnmetNeeds, UsageError
from kdcli.core.method import Method
from kdcli.core.progress import Progress, Silent
from kdcli.core.records import About, Batch, Outputs, Pair
from kdcli.core.text import some
from kdcli.data.loader import plain_batches
from kdcli.data.open import open_source
from kdcli.data.source import Source
from kdcli.data.store import open_store
from kdcli.evaluation.cost import parameters
from kdcli.models.alignment import correspondences
from kdcli.models.build import build, own_size, plan, seeded
from kdcli.models.given import is_given, parse
from kdcli.models.loading import load
from kdcli.models.reordered import OTHER_CLASSES
from kdcli.models.stage_matching import Pairs, match_stages
from kdcli.models.stages import Stage, StageTable
from kdcli.models.tap import Tap
from kdcli.plan.names import is_file, model_name
from kdcli.recipe.load import load_recipe
from kdcli.recipe.schema import Recipe
from kdcli.recipe.who import Who
from kdcli.runs.locate import locate
from kdcli.training.distiller import Term, adapter_for
from kdcli.training.needs import missing

IMAGES = 8
"""Shown to both models."""


@dataclass(frozen=True)
class Use:
    """Whether a method can score the pair."""

    method: str
    kind: str
    works: bool
    reason: str
    """Why not; empty where it works."""
    parameters: int
    """That it would learn besides the student's own."""


@dataclass(frozen=True)
class Answer:
    """One stage of the student, and the teacher's that it answers."""

    student: Stage
    teacher: Stage
    student_signed: bool | None
    """Whether the map has negative values; None: unknown without images."""
    teacher_signed: bool | None


@dataclass(frozen=True, eq=False)
class Matched:
    """What `kd match` shows."""

    student: StageTable
    teacher: StageTable
    answers: tuple[Answer, ...]
    methods: tuple[Use, ...]
    data: str | None
    """Whose images were shown; None: noise, which says nothing of signs."""


def match(
    teacher: str | None,
    student: str | None,
    *,
    recipe: str,
    settings: tuple[str, ...],
    data: str | None,
    progress: Progress,
) -> Matched:
    """Probe both models at the size they would be trained at; trains nothing, fetches nothing.

    Raises:
        UnmetNeeds: a model shows no stages.
        UsageError: an unknown name, or `match.pairs` that are not there.
    """
    rules = load_recipe(recipe, settings).recipe
    teacher, student = _who(teacher, student, rules.who or Who(), recipe)
    source = open_source(data, progress) if data else None
    classes = len(source.classes) if source else 10
    name = model_name(student, progress)
    size = _size(rules, source, name)
    mine = _fresh(name, "student", classes, size)
    theirs = _teacher(teacher, source, classes, size, progress)
    pairs = match_stages(mine.stages, theirs.stages, rules.match.pairs)
    couple = Couple(mine, theirs, _images(source, size), _about(rules, classes), rules)
    methods = _methods(rules)
    with_heads = {key: m for key, m in methods.items() if "heads" in m.student_needs}
    others = {key: m for key, m in methods.items() if key not in with_heads}
    uses, seen = _uses(others, couple)
    answers = _answers(pairs, seen if source else {}, mine, theirs)
    # last: a student without a second head refuses to show it, and one that has it shows both on
    more, _ = _uses(with_heads, couple)
    uses = sorted([*uses, *more], key=lambda use: (KINDS.index(use.kind), use.method))
    return Matched(mine.stages, theirs.stages, answers, tuple(uses), data)


def _who(teacher: str | None, student: str | None, asked: Who, recipe: str) -> tuple[str, str]:
    """Teacher and student as named, or else by the recipe's `who:` block."""
    named = [one if isinstance(one, str) else one.model for one in asked.taught_by]
    if teacher is None and len(named) > 1:
        raise UsageError(
            f"who.teachers of recipe {recipe} names {some(named)}; kd match compares one with the "
            "student",
            f"say which: --teacher {quote(named[0])}",
        )
    teacher, student = teacher or next(iter(named), None), student or asked.student
    if not teacher or not student:
        raise UsageError(
            "kd match compares two models", "kd match --teacher resnet101 --student mobilenetv3"
        )
    return teacher, student


def _size(rules: Recipe, source: Source | None, student: str) -> int:
    if isinstance(rules.data.image_size, int):
        return rules.data.image_size
    if source is None or source.defaults.own_size:
        return own_size(student)
    return source.defaults.image_size


def _fresh(name: str, by: str, classes: int, size: int) -> Tap:
    """With random weights: a stage's place and width are its architecture's."""
    args = plan(name, classes, size, None)
    with seeded(0, by):
        return Tap(build(args), args, by).eval()


def _teacher(thing: str, source: Source | None, classes: int, size: int, progress: Progress) -> Tap:
    if is_given(thing):  # its weights are not needed here
        return _fresh(parse(thing, progress).model, "teacher.0", classes, size)
    if not is_file(thing):
        return _fresh(model_name(thing, progress), "teacher.0", classes, size)
    path = locate(thing, progress).model
    loaded = load(path)
    if source:  # their order does not matter here: kd distill puts them in it
        places_in(loaded.file.classes, source.classes, f"teacher {path}", OTHER_CLASSES)
    return Tap(loaded.module, loaded.args, "teacher.0").eval()


def _images(source: Source | None, size: int) -> Tensor:
    """(IMAGES, 3, size, size) RGB in [0, 1]: of the data, else noise."""
    if source is None:
        generator = torch.Generator().manual_seed(0)
        return torch.rand(IMAGES, 3, size, size, generator=generator)
    store = open_store(source.train.sample(IMAGES), size, Silent())
    return next(plain_batches(store, num_classes=len(source.classes), workers=0)).images


def _methods(rules: Recipe) -> dict[str, Method]:
    """Every method there is, with the recipe's options where it has some."""
    options = {use.use or name: use.options for name, use in rules.methods.items()}
    return {
        name: registry.load("methods", name)(**options.get(name, {}))
        for name in registry.names("methods")
    }


def _about(rules: Recipe, classes: int) -> About:
    labels = torch.arange(max(IMAGES, classes)) % classes
    return About(
        classes,
        num_samples=len(labels),
        steps_per_epoch=1,
        smallest_batch=IMAGES,
        labels=labels,
        adapter=rules.match.adapter,
    )


@dataclass(frozen=True, eq=False)
class Couple:
    """Two models, and what both are shown."""

    student: Tap
    teacher: Tap
    images: Tensor
    """(IMAGES, 3, S, S) RGB in [0, 1]."""
    about: About
    rules: Recipe


def _uses(methods: Mapping[str, Method], both: Couple) -> tuple[list[Use], dict[str, Outputs]]:
    """Both models are asked once, then every method; what they answered, by who they are, too."""
    try:
        matched = correspondences(
            methods.values(),
            {"student": both.student},
            {"teacher.0": both.teacher},
            both.images[:2],
            both.rules.match.pairs,
        )
    except UnmetNeeds as error:
        return [Use(name, m.kind, False, error.what, 0) for name, m in methods.items()], {}
    with torch.no_grad():
        batch = _batch(both.images, both.about.num_classes)
        seen = {tap.by: tap(batch) for tap in (both.student, both.teacher)}
    found = matched["student", "teacher.0"]
    pair, about = found.align(Pair(seen["student"], seen["teacher.0"])), found.tell(both.about)
    return [_use(name, method, pair, about) for name, method in methods.items()], seen


def _use(name: str, method: Method, pair: Pair, about: About) -> Use:
    if lacks := missing(method, pair):
        return Use(name, method.kind, False, f"no {' and '.join(sorted(lacks))}", 0)
    try:
        adapter = adapter_for(Term(name, method, lambda epoch: 1.0), pair, about)
    except UnmetNeeds as error:
        reason = error.what.removeprefix(f"methods.{name}: ")
        return Use(name, method.kind, False, reason, 0)
    return Use(name, method.kind, True, "", parameters(adapter) if adapter is not None else 0)


def _batch(images: Tensor, classes: int) -> Batch:
    rows = torch.arange(len(images))
    labels = rows % classes
    targets = torch.nn.functional.one_hot(labels, classes).float()
    return Batch(images, labels, targets, rows, torch.zeros_like(rows))


def _answers(
    pairs: Pairs, seen: Mapping[str, Outputs], student: Tap, teacher: Tap
) -> tuple[Answer, ...]:
    mine, theirs = _signs(seen.get("student"), student), _signs(seen.get("teacher.0"), teacher)
    return tuple(Answer(s, t, mine.get(s.index), theirs.get(t.index)) for s, t in pairs)


def _signs(outputs: Outputs | None, tap: Tap) -> dict[int, bool]:
    """By the stages' indices."""
    shown: Sequence[int] = tap.route.view.stages
    maps = outputs.stages if outputs else ()
    return {i: bool(found.min() < 0) for i, found in zip(shown, maps, strict=False)}
