"""`kd evaluate THING --test DATA`: a finished model asked about labelled images. Trains nothing,
writes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kdcli.commands.release import beside_release, open_release, record_of
from kdcli.core.errors import UsageError
from kdcli.core.progress import Progress, Silent
from kdcli.core.text import counted, some
from kdcli.data.quality.duplicates import seen_among
from kdcli.data.reopen import learnt_from
from kdcli.data.source import NewImages, Split
from kdcli.data.sources.new_images import of_classes, open_new_images, without_images
from kdcli.deploy.find_contenders import Given, asked, classes_of, find_given
from kdcli.report.gates import Checked, check_gates, for_classes, parse_gates
from kdcli.report.schema import DataPart, Report
from kdcli.runs.locate import locate
from kdcli.training.devices import open_device


@dataclass(frozen=True)
class EvaluatedAlone:
    """What a model says of new images, and the gates held against it; nothing was written."""

    model: str
    report: Report
    gates: list[Checked]


def evaluate_new_images(
    thing: str | None,
    test: str,
    *,
    minima: Sequence[str] | None = None,
    maxima: Sequence[str] | None = None,
    drops: Sequence[str] | None = None,
    ratios: Sequence[str] | None = None,
    against: str | None = None,
    device: str = "auto",
    progress: Progress,
) -> EvaluatedAlone:
    """A run, a model.pt or an exported file on the test images of `test` (all images there, where
    it has no splits); `against` is a release that is asked the same.

    Raises:
        UsageError: no model, a gate that cannot be, a release of other classes.
        DataError: no labelled images, or of classes that the model does not know.
    """
    gates = parse_gates(minima, maxima, drops, ratios, release=against)
    place = open_device(device)
    given = find_given(thing, progress) if thing else _newest(progress)
    before = find_given(against, progress) if against else None
    if given.record:
        raise UsageError(
            f"{given.typed}: a record, no model to be asked",
            "give the run, its model.pt or an exported file",
        )
    classes = classes_of(given)
    gates = for_classes(gates, classes)
    new = open_new_images(test, progress)
    images = of_classes(new, classes, given.typed)
    notes = "; ".join(new.notes)
    progress.say(f"{new.name}: {counted(len(images), 'image')} to measure on: {notes}")
    seen = {one.typed: _seen(one, images) for one in (given, before) if one}
    remarks = list(_remarks(new, classes, seen))
    for line in remarks:
        progress.warn(f"{new.name}: {line}")
    release = open_release(before, None, images, classes)
    now = asked(given, images, classes, place, progress)
    data = _data_part(new, images, classes, seen[given.typed])
    report = record_of(now, given, data)
    accuracy = report.models["student"].accuracy or 0.0
    report = report.model_copy(
        update={
            "verdict": f"{now.name or given.typed}: right on {accuracy:.2%} of "
            f"{counted(len(images), 'image')} of {new.name}; nothing was trained.",
            "notes": [*new.notes, *remarks],
        }
    )
    record = None
    if release:
        part, record = beside_release(release, now, report, place, progress)
        report = report.model_copy(update={"against": part})
    return EvaluatedAlone(given.typed, report, check_gates(gates, report, record))


def _newest(progress: Progress) -> Given:
    located = locate(None, progress)
    assert located.run is not None
    return Given(str(located.run.path), run=located.run)


def _remarks(
    new: NewImages, classes: Sequence[str], seen: Mapping[str, int | None]
) -> Iterator[str]:
    """What a reader has to know: what lacks, and what a model has learnt from before."""
    if absent := without_images(new, classes):
        yield f"no images of {len(absent)} of {len(classes)} classes: {some(absent, 5)}"
    for typed, count in seen.items():
        if count:
            yield (
                f"{typed} has learnt from {counted(count, 'image')} of these: what it says of "
                "them flatters"
            )


def _seen(model: Given, images: Split) -> int | None:
    """How many of these it has learnt from; None where nobody knows what it has learnt from."""
    learnt = learnt_from(model.run.spec, Silent()) if model.run else None
    return seen_among(images, [learnt]) if learnt else None


def _data_part(new: NewImages, images: Split, classes: Sequence[str], seen: int | None) -> DataPart:
    counts = np.bincount(images.labels, minlength=len(classes)).tolist()
    return DataPart(
        name=new.name,
        is_default=0,
        classes=len(classes),
        test_images=len(images),
        test_images_by_class=dict(zip(classes, counts, strict=True)),
        test_images_seen=seen,
    )
