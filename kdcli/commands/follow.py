"""Around `teacher.follow`: what it goes with, and what a teacher's training leaves for it."""

from collections.abc import Sequence
from typing import Any

from kdcli.errors import UsageError
from kdcli.recipe import Recipe
from kdcli.recipe_file import scheme_of
from kdcli.runs import Run, find
from kdcli.spec import Spec, TeacherRef
from kdcli.trail import Trail, Whole


def with_trail(spec: Spec, recipe: Recipe) -> Spec:
    """A teacher's training, with the checkpoints that who follows its trajectory needs."""
    follows = recipe.teacher.follow == "trajectory"
    return spec.model_copy(update={"keeps": recipe.teacher.checkpoints if follows else None})


def trail_of(run: Run, spec: Spec, steps_per_epoch: int, whole: Whole) -> Trail | None:
    """What writes those checkpoints; None where nobody wants any."""
    total = steps_per_epoch * int(spec.recipe.train.epochs)
    return Trail(run, spec.keeps, total, whole) if spec.keeps else None


def lacking(spec: Spec) -> str:
    """What is not there yet, and is trained now."""
    whose = f"{spec.title} {spec.model} on {spec.data.name}"
    if not spec.keeps:
        return f"no finished {whose} yet: training one"
    plain = find(spec.model_copy(update={"keeps": None}))
    again = " again (the finished one has kept none)" if plain and plain.finished else ""
    return (
        f"no trajectory of {whose} yet: training it{again}, with {spec.keeps.count} checkpoints "
        "or one per step"
    )


def refuse_around_followed(recipe: Recipe) -> None:
    """Who is followed while it learns has to teach at every step, and exactly once at each.

    Raises:
        UsageError: it cannot.
    """
    follow, scheme = recipe.teacher.follow, scheme_of(recipe)
    if follow == "finished":
        return
    if scheme.labelled_by_teachers or scheme.has_generations or not scheme.needs_teacher:
        why = "asks its teachers once" if scheme.labelled_by_teachers else "has no such teacher"
        raise UsageError(
            f"teacher.follow={follow} asks a teacher anew at every step; scheme "
            f"{recipe.scheme.name} {why}",
            "scheme: offline (of several teachers: average), or leave teacher.follow out",
        )
    if follow == "together" and recipe.train.accumulate > 1:
        raise UsageError(
            f"train.accumulate={recipe.train.accumulate}: a teacher that learns together with its "
            "student takes one step per batch, which cannot come in parts",
            "--set train.batch_size=... (smaller), or --set teacher.follow=trajectory",
        )
    if follow == "together" and recipe.teacher.tune == "head":
        raise UsageError(
            "teacher.tune=head fits a classifier to what a trunk has said before; such a teacher "
            "cannot learn together with its student",
            "--set teacher.tune=all, or --set teacher.follow=trajectory",
        )


def refuse_unfollowable(teacher: TeacherRef, recipe: Recipe) -> None:
    """Raise UsageError for one that is finished, or would see other images than its student."""
    together = recipe.teacher.follow == "together"
    if together and teacher.spec and teacher.spec.recipe.data.subset != 1:
        raise UsageError(
            f"teacher.subset={teacher.spec.recipe.data.subset} ({teacher.model}): a teacher "
            "that learns together with its student learns from the student's batches",
            "leave it out, or --set data.subset=... for both",
        )
    if teacher.spec is None and recipe.teacher.follow != "finished":
        raise UsageError(
            f"teacher {teacher.path} is finished; teacher.follow={recipe.teacher.follow} follows "
            "one while it learns",
            "name a model that is to be trained (--teacher resnet101), or leave teacher.follow out",
        )


def refuse_assistants(assistants: Sequence[Any], recipe: Recipe) -> None:
    """Raise UsageError for one that would have to learn, be taught and teach at every step."""
    if assistants and recipe.teacher.follow == "together":
        raise UsageError(
            "an assistant is trained before its student; with teacher.follow=together nobody is",
            "leave --assistant out, or --set teacher.follow=trajectory",
        )
