"""Images that cannot be read, named together."""

from collections.abc import Sequence

from kdcli.errors import DataError

NAMED = 10
OUT = "repair these files, or take them out; kd puts no other image in their place"
BACK = "repair these files, or bring them back; without them these are not the run's data"
"""Where a run was made with them."""


def broken(errors: Sequence[DataError], total: int, fix: str = OUT) -> DataError:
    """One error for all of them, of which there is at least one: the first ten, then the count.

    `total` is how many images were looked at.
    """
    if len(errors) == 1:
        return DataError(errors[0].what, fix)
    lines = [f"  {error.what}" for error in errors[:NAMED]]
    lines += [f"  and {len(errors) - NAMED:,} more"] if len(errors) > NAMED else []
    head = f"{len(errors):,} of {total:,} images cannot be read:"
    return DataError("\n".join([head, *lines]), fix)
