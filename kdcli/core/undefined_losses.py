"""Cases in which a loss says nothing, refused in words before the first step."""

from torch import Tensor

from kdcli.core.errors import UnmetNeeds
from kdcli.core.functional import smaller_grid, spatial_pairs
from kdcli.core.records import About, Outputs


def refuse_single_cells(student: Outputs, teacher: Outputs) -> None:
    """Raise UnmetNeeds if no pair of features has more than one cell."""
    if not spatial_pairs(student.features, teacher.features):
        grids = {tuple(f.shape[2:]) for f in (*student.features, *teacher.features)}
        shown = ", ".join(f"{h} x {w}" for h, w in sorted(grids))
        raise UnmetNeeds(
            f"compares where things are in a map, and here no two maps have cells ({shown})",
            "larger images (--set data.image_size=...), or student.stem_stride=1 for small ones",
        )


def refuse_single_images(
    about: About, because: str = "compares images of a batch with each other"
) -> None:
    """Raise UnmetNeeds if images may pass through the models one by one."""
    if about.smallest_batch < 2:
        raise UnmetNeeds(
            f"{because}, and here images come one by one",
            "a larger train.batch_size, or a smaller train.accumulate",
        )


def refuse_unknown_labels(about: About) -> None:
    """Raise UnmetNeeds if an image of the training set has no label."""
    if about.labels is not None and bool((about.labels < 0).any()):
        raise UnmetNeeds(
            "reads every image's label, and here some are unknown",
            "kd, which needs the teacher's answers only",
        )


def refuse_single_values(
    student: tuple[Tensor, ...], teacher: tuple[Tensor, ...], about: About
) -> None:
    """Raise UnmetNeeds if a batch norm would see one value per channel: one image of one cell."""
    pairs = zip(student, teacher, strict=True)
    if about.smallest_batch < 2 and any(smaller_grid(s, t) == (1, 1) for s, t in pairs):
        raise UnmetNeeds(
            "learns with batch norms, and here they would see one image of one cell at a time",
            "a larger train.batch_size, or a smaller train.accumulate",
        )
