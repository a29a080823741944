"""Settings that contradict each other: told before anything is read, built or trained.

pydantic checks each key by itself; here are the rules that take two of them. Each message names a
way out that can be pasted.
"""

from kdcli.core.errors import UsageError
from kdcli.recipe.data import check_randaugment
from kdcli.recipe.load import learns_without_labels, needs_teacher, scheme_of
from kdcli.recipe.schema import Recipe
from kdcli.recipe.teacher import TeacherSettings


def refuse_around_followed(recipe: Recipe) -> None:
    """Who is followed while it learns has to teach at every step, and exactly once at each.

    So it cannot have answered before the first step (`labelled_by_teachers`), nor be asked for each
    part of a batch (`together`, where it takes a step of its own per batch), nor be a head on
    embeddings that were made once. A generation has no teacher to follow but a finished one.

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


def refuse_contradictions(recipe: Recipe, model: str, taught: bool) -> None:
    """Settings that contradict each other, before anything is built: of `model`, which has teachers
    or not. The recipe is resolved, no `auto` left.

    Raises:
        UsageError: the first of them, and the way out.
    """
    refuse_in_recipe(recipe)
    if recipe.train.tune == "head" and taught:
        raise _no_say()
    if recipe.train.tune == "head" and not recipe.student.pretrained:
        raise UsageError(
            f"tune=head keeps the trunk of {model} as it is, which is random here",
            "begin with pretrained weights (student.pretrained=true, or teacher.pretrained=true), "
            "or train all of it: tune=all",
        )


def refuse_in_recipe(recipe: Recipe) -> None:
    """Those of them that a recipe alone shows, whatever the models and the data; an `auto` is no
    contradiction. What `kd recipe check` can tell, and a run tells before it reads its data.

    Raises:
        UsageError: the first of them, and the way out.
    """
    data, train = recipe.data, recipe.train
    if data.randaugment:
        check_randaugment(data.randaugment)
    _refuse_around_transfer_sets(recipe)
    _refuse_around_labelled_share(recipe)
    refuse_around_followed(recipe)
    _refuse_around_untuned(recipe.teacher)
    _refuse_around_answers(recipe)
    # two images a part: batch norm has nothing to average over in one (as train.batch_size)
    if train.batch_size != "auto" and 2 * train.accumulate > train.batch_size:
        raise UsageError(
            f"train.accumulate={train.accumulate} leaves parts of less than two images of a batch "
            f"of {train.batch_size}",
            f"--set train.accumulate={max(1, train.batch_size // 2)} or less",
        )
    if train.tune == "head" and (needs_teacher(recipe) or scheme_of(recipe).teaches_itself):
        raise _no_say()
    augment = None if data.augment == "auto" else data.augment
    if train.tune == "head" and any((augment, data.randaugment, train.mixup, train.cutmix)):
        raise UsageError(
            "tune=head shows each image to the trunk once, so images cannot be varied",
            "leave data.augment at auto, and randaugment, mixup and cutmix off",
        )


def _refuse_around_untuned(teacher: TeacherSettings) -> None:
    if teacher.image_size and teacher.tune != "none":
        raise UsageError(
            f"teacher.image_size={teacher.image_size}: a teacher that is trained here learns from "
            "its student's images",
            "--set data.image_size=N for both, or --set teacher.tune=none",
        )


def _refuse_around_answers(recipe: Recipe) -> None:
    """Of `answers: auto` none but exact answers are stored; a transfer set has rules of its own."""
    teacher = recipe.teacher
    if teacher.keep != "all" and teacher.answers != "stored":
        raise UsageError(
            f"teacher.keep={teacher.keep} is less than a teacher says; with teacher.answers="
            f"{teacher.answers} it would depend on what is stored whether its student hears it all",
            "--set teacher.answers=stored, or leave teacher.keep out",
        )
    if scheme_of(recipe).labelled_by_teachers and (
        teacher.answers == "live" or teacher.keep != "all"
    ):
        raise UsageError(
            f"scheme {recipe.scheme.name} asks its teachers once, and keeps all that they say",
            "leave teacher.answers and teacher.keep out",
        )


def _no_say() -> UsageError:
    return UsageError(
        "train.tune=head fits a classifier to labels; nobody else would have a say",
        "for the teacher: --set teacher.tune=head; for the student: --set train.tune=all",
    )


def _refuse_around_transfer_sets(recipe: Recipe) -> None:
    """Images without labels are for teachers to label; what they have labelled is left whole."""
    if not scheme_of(recipe).labelled_by_teachers:
        beside = "--set data.labelled_share=0.5 (as in recipe few_labels), or --recipe "
        ways = {"unlabelled": beside, "pool": ""}
        for key, way in ways.items():
            if getattr(recipe.data, key) is None or (way and learns_without_labels(recipe)):
                continue
            raise UsageError(
                f"data.{key} gives images without labels; scheme {recipe.scheme.name} has "
                "nobody label them",
                f"{way or '--recipe '}compress (scheme: compress), or leave data.{key} out",
            )
    elif recipe.train.mixup or recipe.train.cutmix:
        raise UsageError(
            "train.mixup and train.cutmix change images that the teachers have labelled before",
            "--set data.pool=mixup: images are blended first, then labelled",
        )


def _refuse_around_labelled_share(recipe: Recipe) -> None:
    """What images without labels leave undefined."""
    share, train, scheme = recipe.data.labelled_share, recipe.train, scheme_of(recipe)
    if share is None:
        return
    said = f"data.labelled_share={share}"
    if scheme.labelled_by_teachers or not scheme.needs_teacher:
        why = "gives all images labels" if scheme.labelled_by_teachers else "has no teacher"
        raise UsageError(
            f"{said}: scheme {recipe.scheme.name} {why}", "scheme: offline, or leave it out"
        )
    if (train.mixup or train.cutmix) and recipe.task.weight:
        raise UsageError(
            f"{said}: train.mixup and train.cutmix would mix images with labels into images "
            "without, of which nobody knows the labels then",
            "--set task.weight=0, or leave mixup and cutmix out",
        )
    if train.balance == "sampler" or recipe.teacher.follow == "together":
        key = "train.balance=sampler" if train.balance == "sampler" else "teacher.follow=together"
        raise UsageError(f"{said}: {key} needs every image's label", "leave one of them out")
