"""Which images and labels a student and its teachers see, where a recipe leaves some out."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kdcli.data.complete import some
from kdcli.data.source import Source
from kdcli.data.subset import training_split
from kdcli.errors import KdError
from kdcli.progress import Progress
from kdcli.recipe_file import scheme_of
from kdcli.runs import Run
from kdcli.spec import DataRef, Spec, TeacherRef

SHOWN = 3
"""Teachers that a message names."""


def say_left(spec: Spec, source: Source, progress: Progress) -> None:
    """How many training images data.hidden and data.subset leave to this training."""
    data, everyone = spec.recipe.data, len(source.train)
    hidden = data.hidden and not scheme_of(spec.recipe).labelled_by_teachers
    keys = ["data.hidden"] * bool(hidden) + ["data.subset"] * (data.subset != 1)
    if keys:
        drawn = f" (seed {spec.seed})" if isinstance(data.subset, tuple) else ""
        left = len(training_split(spec, source))
        progress.say(f"{', '.join(keys)}: {left:,} of {everyone:,} training images{drawn}")


def warn_of_seen(
    teachers: Sequence[TeacherRef], data: DataRef, hidden: float, progress: Progress
) -> None:
    """Of finished teachers: who has seen labels that data.hidden hides, and who may have.

    The labels that are hidden depend on the share alone: a smaller one hides some of the same.
    """
    given = [ref.path for ref in teachers if ref.path] if hidden else []
    runs = {path: _spec_beside(path) for path in given}
    seen = [
        path
        for path, spec in runs.items()
        if spec and spec.data.identity == data.identity and spec.recipe.data.hidden < hidden
    ]
    unknown = [path for path, spec in runs.items() if spec is None]
    if seen:
        progress.warn(
            f"teacher {some(seen, SHOWN)}: has seen labels that data.hidden hides from the student"
        )
    if unknown:
        progress.say(
            f"teacher {some(unknown, SHOWN)}: nobody can know whether it has seen labels that "
            "data.hidden hides from the student"
        )


def _spec_beside(model: str) -> Spec | None:
    """What made it; None where no run.yaml lies beside it that could tell."""
    with suppress(KdError):
        return Run(Path(model).parent).spec
    return None
