"""Settings of a recipe that contradict each other, or the models that they are meant for."""

from kdcli.commands.follow import refuse_around_followed
from kdcli.data.randaugment import check_randaugment
from kdcli.errors import UsageError
from kdcli.recipe import Recipe
from kdcli.recipe_file import needs_teacher, scheme_of
from kdcli.spec import Spec


def refuse_contradictions(spec: Spec) -> None:
    """Settings that contradict each other, before anything is built.

    Raises:
        UsageError: the first of them, and the way out.
    """
    refuse_in_recipe(spec.recipe)
    if spec.recipe.train.tune == "head" and spec.teachers:
        raise _no_say()
    if spec.recipe.train.tune == "head" and not spec.recipe.student.pretrained:
        raise UsageError(
            f"tune=head keeps the trunk of {spec.model} as it is, which is random here",
            "begin with pretrained weights (student.pretrained=true, or teacher.pretrained=true), "
            "or train all of it: tune=all",
        )


def refuse_in_recipe(recipe: Recipe) -> None:
    """Those of them that a recipe alone shows, whatever the models and the data; an `auto` is no
    contradiction.

    Raises:
        UsageError: the first of them, and the way out.
    """
    data, train = recipe.data, recipe.train
    if data.randaugment:
        check_randaugment(data.randaugment)
    _refuse_around_transfer_sets(recipe)
    refuse_around_followed(recipe)
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


def _no_say() -> UsageError:
    return UsageError(
        "train.tune=head fits a classifier to labels; nobody else would have a say",
        "for the teacher: --set teacher.tune=head; for the student: --set train.tune=all",
    )


def _refuse_around_transfer_sets(recipe: Recipe) -> None:
    """Images without labels are for teachers to label; what they have labelled is left whole."""
    if not scheme_of(recipe).labelled_by_teachers:
        for key in ("unlabelled", "pool"):
            if getattr(recipe.data, key) is not None:
                raise UsageError(
                    f"data.{key} gives images without labels; scheme {recipe.scheme.name} has "
                    "nobody label them",
                    f"--recipe compress (scheme: compress), or leave data.{key} out",
                )
    elif recipe.train.mixup or recipe.train.cutmix:
        raise UsageError(
            "train.mixup and train.cutmix change images that the teachers have labelled before",
            "--set data.pool=mixup: images are blended first, then labelled",
        )
