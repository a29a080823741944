"""Scheme, methods, learners and teachers become one distiller."""

from collections.abc import Mapping

from torch import nn

from kdcli.distiller import Distiller, Term, WeightAt
from kdcli.models.correspondences import correspondences
from kdcli.models.tap import Tap
from kdcli.models.teachers import Live
from kdcli.recipe import Match
from kdcli.records import About, Batch, Scheme, Teacher

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
