"""Settings of a recipe that contradict each other, or the models that they are meant for."""

from kdcli.data.randaugment import check_randaugment
from kdcli.errors import UsageError
from kdcli.recipe import Recipe
from kdcli.recipe_file import scheme_of
from kdcli.spec import Spec


def refuse_contradictions(spec: Spec) -> None:
    """Settings that contradict each other, before anything is built.

    Raises:
        UsageError: the first of them, and the way out.
    """
    recipe, train = spec.recipe, spec.recipe.train
    if recipe.data.randaugment:
        check_randaugment(recipe.data.randaugment)
    _refuse_around_transfer_sets(recipe)
    if 2 * train.accumulate > int(train.batch_size):
        raise UsageError(
            f"train.accumulate={train.accumulate} leaves parts of less than two images of a batch "
            f"of {train.batch_size}",
            f"--set train.accumulate={max(1, int(train.batch_size) // 2)} or less",
        )
    if train.tune == "head" and spec.teachers:
        raise UsageError(
            "train.tune=head fits a classifier to labels; a teacher would have no say",
            "for the teacher: --set teacher.tune=head; for the student: --set train.tune=all",
        )
    if train.tune == "head" and not recipe.student.pretrained:
        raise UsageError(
            f"tune=head keeps the trunk of {spec.model} as it is, which is random here",
            "begin with pretrained weights (student.pretrained=true, or teacher.pretrained=true), "
            "or train all of it: tune=all",
        )
    varied = (recipe.data.augment, recipe.data.randaugment, train.mixup, train.cutmix)
    if train.tune == "head" and any(varied):
        raise UsageError(
            "tune=head shows each image to the trunk once, so images cannot be varied",
            "leave data.augment at auto, and randaugment, mixup and cutmix off",
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
