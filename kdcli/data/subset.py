"""Which of the training images are seen, and which with their labels."""

from kdcli.data.source import Split
from kdcli.data.splits import carve

SEED = 0


def labelled(split: Split, hidden: float) -> Split:
    """The images whose labels are known, where those of a share `hidden` are not; class by
    class."""
    if not hidden:
        return split
    known, _ = carve(split.labels, hidden, SEED)
    return split.take(known)
