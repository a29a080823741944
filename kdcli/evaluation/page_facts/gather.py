"""All that report.html shows beyond the record, as far as it is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kdcli.core.errors import KdError
from kdcli.core.progress import Progress
from kdcli.data.reopen import reopen_data
from kdcli.data.source import Source
from kdcli.data.store import OnDemand
from kdcli.evaluation.intervals import share_interval
from kdcli.evaluation.measure import range_of
from kdcli.evaluation.page_facts.condensed import (
    Condensed,
    condensed,
    confusion,
    farthest_apart,
    most_confused,
    reliability,
    surely_wrong,
    telling,
)
from kdcli.evaluation.page_facts.looks import attention
from kdcli.evaluation.page_facts.pictures import Draw, drawer, uri
from kdcli.evaluation.page_facts.soften import soft_targets
from kdcli.evaluation.page_facts.story import curves, shares, story
from kdcli.evaluation.participants import cast_at_hand, changed
from kdcli.evaluation.predictions import NAME, Tested, each_role, read_tested, tested
from kdcli.evaluation.significance import paired_gain
from kdcli.recipe.edit import crop_pct_of
from kdcli.report.model import Range
from kdcli.report.page.facts import Differing, Facts, SeedGain, SoftTargets, Tile, Wrong
from kdcli.report.page.roles import names
from kdcli.report.schema import Report, imitated
from kdcli.runs.baseline import baseline_of
from kdcli.runs.find import find
from kdcli.runs.run import Run

TILES, LOOKED_AT = 12, 6
"""Images of a grid; images with attention maps."""
MATRIX, PAIRS = 20, 20
"""Classes up to which there is a confusion matrix; of more, so many pairs are named."""
NO_ANSWERS = "kd evaluate keeps what the models answer"
OTHERS = "predictions.npz is of another evaluation than the record: kd evaluate writes both"
_OF_ANSWERS = (
    *("gains", "reliability", "confusion", "differing", "wrong", "attention", "softened"),
)
NO_BASELINE = "there is no baseline to compare with"


@dataclass(frozen=True, eq=False)
class _Answers:
    """What student, baseline and teacher answered to the test images."""

    images: Tested
    classes: tuple[str, ...]
    roles: dict[str, Condensed]
    soft: SoftTargets | None
    softened: Sequence[int]
    """The images that `soft` is of."""
    seeds: Sequence[int]
    names: Mapping[str, str]
    """What roles are called."""
    best: int
    """Of several teachers the single one that the record tells of."""

    @property
    def labels(self) -> Any:
        return self.images.labels


@dataclass(frozen=True, eq=False)
class _Pictures:
    """The test images, where they are at hand."""

    store: OnDemand
    draw: Draw


@dataclass
class _Gathering:
    """Fields of Facts as they come, and why others do not."""

    found: dict[str, Any] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)

    def put(self, key: str, value: Any, why: str) -> None:
        """A field; `why` where there is nothing."""
        if value:
            self.found[key] = value
        else:
            self.lacking[key] = why


def gather(
    run: Run,
    report: Report,
    progress: Progress,
    source: Source | None = None,
    moved: str | None = None,
) -> Facts:
    """Of a finished run with a report. The data are `source` where somebody has them open, else
    reopened where they were or have `moved` to; where they are gone there are no pictures.

    Raises:
        DamagedFile: one of the run's files is not what kd writes.
    """
    got = _Gathering()
    got.put("files_ci95", _files(report), "")
    got.put("story", story(run, report), "")
    got.put("curves", curves(run, report), "its log is not at hand")
    got.put("shares", shares(run), "it learnt from a single term, which has all of the gradient")
    known = _answers(run, report)
    if isinstance(known, str):
        got.lacking |= dict.fromkeys(_OF_ANSWERS, known)
        return Facts(**got.found, lacking=got.lacking)
    _compared(known, got)
    pictures, why = _pictures(run, known, source, moved, progress)
    _shown(run, known, pictures, why, got)
    return Facts(**got.found, lacking=got.lacking)


def _files(report: Report) -> dict[str, Range]:
    """Intervals of exported files' accuracies: one file each, so over images alone."""
    n = report.data.test_images if report.data else 0
    known = {one.path: one.accuracy for one in report.exports or [] if one.accuracy is not None}
    return {path: range_of(share_interval(value, n)) for path, value in known.items() if n}


def _answers(run: Run, report: Report) -> _Answers | str:
    """Why there are none, in a word, where none are kept or they are not those of the record."""
    file, images = run.path / NAME, read_tested(run.path / NAME)
    classes = tuple((report.data.test_images_by_class if report.data else None) or ())
    if images is None or not classes:
        return NO_ANSWERS
    above = imitated(report.models)
    wanted = {"student", "baseline", *([above] if above else [])} & set(report.models)
    roles, soft, chosen = dict[str, Condensed](), None, list[int]()
    teller = above if above and report.models[above].accuracy is not None else "student"
    for role, logits in each_role(file, wanted):
        if logits.shape[2] != len(classes):
            return OTHERS
        roles[role] = condensed(logits, images.labels)
        if role == teller:
            name, recipe = names(report)[role], run.spec.recipe
            soft, chosen = soft_targets(name, logits, roles[role], images.labels, classes, recipe)
    order = {role: roles[role] for role in names(report) if role in roles}
    for role, found in order.items():
        known = report.models[role].accuracy
        if known is None or abs(found.right(images.labels).mean() - known) > 1e-6:
            return OTHERS
    if "student" not in order:
        return OTHERS
    seeds = [one.seed for one in report.models["student"].seeds or ()] or [run.spec.seed]
    ensemble = report.comparison.ensemble if report.comparison else None
    best = ensemble.best if ensemble else 0
    return _Answers(images, classes, order, soft, chosen, seeds, names(report), best)


def _compared(known: _Answers, got: _Gathering) -> None:
    """What needs no picture."""
    labels, student, baseline = known.labels, known.roles["student"], known.roles.get("baseline")
    gains = _gains(known.seeds, student, baseline, labels) if baseline else None
    got.put("gains", gains, NO_BASELINE)
    got.put("reliability", {r: reliability(one, labels) for r, one in known.roles.items()}, "")
    if len(known.classes) <= MATRIX:
        got.put("confusion", confusion(student, labels, known.classes), "")
    else:
        teacher = known.roles.get("ensemble") or known.roles.get("teacher")
        pairs = most_confused(student, teacher, labels, known.classes, PAIRS)
        got.put("confused", pairs, "")
        got.lacking["confusion"] = "the student takes no class for another"


def _gains(
    seeds: Sequence[int], student: Condensed, baseline: Condensed, labels: Any
) -> tuple[SeedGain, ...]:
    """Seed by seed, on the same images."""
    ours, theirs = student.right(labels), baseline.right(labels)
    found = [paired_gain(ours[i : i + 1], theirs[i : i + 1]) for i in range(len(ours))]
    pairs = zip(seeds, found, strict=True)
    return tuple(SeedGain(seed, one.gain, range_of(one.ci95)) for seed, one in pairs)


# Pictures ----------------------------------------------------------------------------------------


def _pictures(
    run: Run, known: _Answers, source: Source | None, moved: str | None, progress: Progress
) -> tuple[_Pictures | None, str]:
    """The images, or why there are none."""
    try:
        source = source or reopen_data(run.spec.data, progress, moved)
    except KdError as error:
        if moved is not None:
            raise
        return None, f"no test images: {error.what}"
    if not known.images.same_as(tested(source.test)):
        return None, "the test images are others than those that were answered to"
    shown = run.spec.recipe.data
    store = OnDemand(source.test, int(shown.image_size), crop_pct_of(shown.crop_pct))
    return _Pictures(store, drawer(source.test, store.image_size, store.crop_pct)), ""


def _shown(
    run: Run, known: _Answers, pictures: _Pictures | None, why: str, got: _Gathering
) -> None:
    """Grids of images, attention maps, soft targets."""
    labels, student, baseline = known.labels, known.roles["student"], known.roles.get("baseline")
    apart = farthest_apart(student, baseline, labels, TILES) if baseline else []
    wrong = surely_wrong(student, labels, TILES)
    if pictures is None:
        for key in ("differing", "wrong", "attention"):
            got.lacking[key] = why
        got.put("softened", known.soft, "")
        return
    draw = pictures.draw
    if baseline:
        ours, theirs = student.right(labels)[0], baseline.right(labels)[0]
        counts = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
        got.found["differing"] = Differing(*counts, _tiles(apart, known, draw))
    else:
        got.lacking["differing"] = NO_BASELINE
    count = int((~student.right(labels)[0]).sum())
    got.found["wrong"] = Wrong(count, _tiles(wrong, known, draw))
    looked_at = apart[:: max(1, len(apart) // LOOKED_AT)][:LOOKED_AT]
    looked_at = looked_at or [i for i, _ in telling(student, labels)]
    maps = attention(_files_of(run, known.best), looked_at, pictures.store, draw, known.classes)
    got.put("attention", maps, "these models show no maps of more than one cell")
    got.put("softened", _with_pictures(known.soft, known.softened, draw), "")


def _tiles(images: Sequence[int], known: _Answers, draw: Draw) -> tuple[Tile, ...]:
    """With the answers of student and baseline first."""
    first = [role for role in ("student", "baseline") if role in known.roles]
    order = dict.fromkeys([*first, *known.roles])
    return tuple(
        Tile(
            uri(draw(i)),
            known.images.ids[i],
            known.classes[known.labels[i]],
            tuple(
                known.roles[role].answer(known.names[role], i, known.labels, known.classes)
                for role in order
            ),
        )
        for i in images
    )


def _with_pictures(
    soft: SoftTargets | None, images: Sequence[int], draw: Draw
) -> SoftTargets | None:
    if soft is None:
        return None
    pairs = zip(soft.images, images, strict=True)
    return replace(soft, images=tuple(replace(one, picture=uri(draw(i))) for one, i in pairs))


def _files_of(run: Run, best: int) -> dict[str, Path]:
    """Whose maps can be shown, by role: the teacher (of several the `best`), the student, its
    baseline."""
    found = dict[str, Path]()
    if run.spec.members:
        cast = cast_at_hand(run)
        others = changed(cast)  # than the run was taught by
        taught_by = {one.number: one.file for one in cast.teachers if one.file not in others}
        found |= {"teacher": taught_by[best]} if best in taught_by else {}
    found["student"] = run.model
    baseline = find(baseline_of(run.spec)) if run.spec.is_taught else None
    if baseline and baseline.finished:
        found["baseline"] = baseline.model
    return found
