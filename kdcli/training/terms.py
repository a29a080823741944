"""Scheme, methods, learners and teachers become one distiller."""

from collections.abc import Mapping
from functools import partial

from torch import nn

from kdcli.core import registry
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Teacher
from kdcli.core.scheme import Scheme
from kdcli.models.alignment import correspondences
from kdcli.models.tap import Tap
from kdcli.models.teachers import Live
from kdcli.recipe.match import Match
from kdcli.recipe.schema import Recipe
from kdcli.recipe.weight import weight_at
from kdcli.training.distiller import Distiller, Term, WeightAt

NO_WISHES = Match()


def join(
    scheme: Scheme,
    learners: Mapping[str, nn.Module],
    teachers: Mapping[str, Teacher],
    terms: tuple[Term, ...],
    task_weight: WeightAt,
    example: Batch,
    about: About,
    match: Match = NO_WISHES,
    seed: int = 0,
) -> Distiller:
    """Everyone in one module: taps are told what to show, stages are matched.

    Raises:
        UnmetNeeds: a method needs what the scheme, or one of the models, does not give.
        UsageError: `match` names stages that are not there.
    """
    if not scheme.needs_teacher:
        teachers = {}  # only compared against
    matched = correspondences(
        [term.method for term in terms],
        {name: one for name, one in learners.items() if isinstance(one, Tap)},
        {name: one.tap for name, one in teachers.items() if isinstance(one, Live)},
        example.images[:2],
        match.pairs,
        scheme.needs,
    )
    return Distiller(
        scheme=scheme,
        learners=learners,
        teachers=teachers,
        terms=terms,
        task_weight=task_weight,
        example=example,
        about=about,
        correspondences=matched,
        augment=match.augment,
        seed=seed,
    )


def _terms(recipe: Recipe) -> tuple[Term, ...]:
    epochs = int(recipe.train.epochs)
    return tuple(
        Term(name, method, partial(weight_at, recipe.methods[name].weight, epochs=epochs))
        for name, method in methods_of(recipe).items()
    )


def methods_of(recipe: Recipe) -> dict[str, Method]:
    """The recipe's methods with their options, by the names of their terms."""
    return {
        name: registry.load("methods", use.use or name)(**use.options)
        for name, use in recipe.methods.items()
    }
