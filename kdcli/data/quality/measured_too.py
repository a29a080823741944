"""Images to learn from that models are measured on as well."""

from kdcli.core.progress import Progress
from kdcli.data.quality.duplicates import same_images
from kdcli.data.quality.near_doubles import near_doubles
from kdcli.data.source import Source, Split

MEASURED = ("validation", "test")


def measured_too(
    split: Split, source: Source, progress: Progress, by: tuple[str, ...] = MEASURED
) -> int:
    """How many images of validation and test (`by`) are among these, by content, or as nearly the
    same picture: names tell nothing."""
    splits = {"these": split} | {role: source.splits[role] for role in by}
    same = [places for places in same_images(splits) if places[0].split == "these"]
    near = [pair for pair in near_doubles(splits, progress) if pair[0].split == "these"]
    found = {place for places in (*same, *near) for place in places}
    return sum(place.split != "these" for place in found)
