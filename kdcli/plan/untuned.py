"""Teachers that are taken as they are, whatever their classes (`teacher.tune: none`)."""

from collections.abc import Sequence
from pathlib import Path

from kdcli.core.errors import UsageError
from kdcli.core.files import sha256
from kdcli.core.progress import Silent
from kdcli.models.given import is_given, parse
from kdcli.models.loading import answers, read_args
from kdcli.models.untuned import given_as_it_is, timm_as_it_is
from kdcli.plan.data import say_other_decoding
from kdcli.plan.job import Shared
from kdcli.plan.names import is_file
from kdcli.recipe.load import scheme_of
from kdcli.recipe.schema import Recipe
from kdcli.runs.locate import locate
from kdcli.runs.spec import TeacherRef


def untuned(thing: str, shared: Shared) -> TeacherRef | None:
    """The teacher that `thing` means, with classes of its own; None of one that is finished and
    answers those of the data, as any other.

    Raises:
        UsageError: a name that stands for no weights, among others.
        WeightsUnavailable: pretrained weights cannot be fetched.
    """
    classes, progress = shared.source.classes, shared.progress
    size = shared.loaded.recipe.teacher.image_size
    if is_given(thing):
        found = given_as_it_is(
            parse(thing, Silent()), size, classes, shared.data, shared.labels, progress
        )
    elif is_file(thing):
        found = locate(thing, Silent()).model  # said before
        if size:
            raise UsageError(
                f"teacher.image_size={size}: {found} is fed as it was made",
                "leave it out; it is for names and for NAME=FILE",
            )
        if set(read_args(found)[1]) == set(classes):
            return None
        say_other_decoding(found, shared.source, progress)
    else:
        if shared.loaded.recipe.teacher.pretrained is False:
            raise UsageError(
                "teacher.tune=none takes a teacher as it is, teacher.pretrained=false an "
                "untrained one: it would teach nothing",
                "leave one of them out",
            )
        found = timm_as_it_is(thing, size, classes, shared.data, progress)
    if found is None:
        return None
    model = read_args(found)[0].name
    return TeacherRef(model=model, path=str(found.resolve()), sha256=sha256(found))


def has_other_classes(teacher: TeacherRef, classes: Sequence[str]) -> bool:
    """Whether a finished teacher answers others than these of the data."""
    return bool(teacher.path) and not answers(Path(teacher.path or ""), classes)


def refuse_unheard(teacher: TeacherRef, among: int, recipe: Recipe) -> None:
    """Raise UsageError where a teacher of other classes would have to answer for the data's:
    `among` so many that are measured as one, or in a scheme that asks for labels or continues a
    chain of models of one kind."""
    scheme, name = scheme_of(recipe), recipe.scheme.name
    who = f"teacher {teacher.path} has other classes than the data"
    if among > 1:
        raise UsageError(
            f"{who}: several teachers answer as one, and it has no say in that", "name it alone"
        )
    if scheme.labelled_by_teachers or scheme.has_generations:
        raise UsageError(
            f"{who}: scheme {name} has its teacher answer for these", "scheme: offline"
        )
