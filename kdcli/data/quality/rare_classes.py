"""Classes of few images: what to set for their sake, and how little is measured on them."""

from kdcli.recipe.teacher import BALANCED, own_recipe

IMBALANCED = 5
"""Images of the largest class for one of the smallest, above which something should be done. A rule
of thumb; nothing but a warning hangs on it."""
FEW = 10
"""Images of a class, below which a single one moves its recall by more than ten points."""

WHAT_HELPS = (
    "consider --set train.balance=sampler (or loss) and --set train.select=balanced_accuracy (a "
    f"teacher that is to be trained: {own_recipe(BALANCED)}), and look at "
    "student.worst_class_recall"
)


def few_measured(train: dict[str, int], measured: dict[str, dict[str, int]]) -> str | None:
    """Of the class with the fewest images in validation and test (`measured`, by split and class):
    how few; None where every class has enough, or `train` is empty."""
    few = {
        name: [counts[name] for counts in measured.values()]
        for name in train
        if any(counts[name] < FEW for counts in measured.values())
    }
    if not few:
        return None
    least = min(few, key=lambda name: (sum(few[name]), train[name]))
    counts = " and ".join(f"{n} {role}" for role, n in zip(measured, few[least], strict=True))
    others = f" ({len(few) - 1:,} more have fewer than {FEW})" if len(few) > 1 else ""
    return (
        f"class '{least}': {counts} images{others}; gates and the choice of an epoch on so few "
        "mean little"
    )
