"""Finished teachers, opened and measured before they teach."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from kdcli.core.arrays import Indices
from kdcli.core.errors import UnfitTeacher
from kdcli.data.store import Store, open_store
from kdcli.evaluation.answers import answers_of
from kdcli.evaluation.intervals import Interval
from kdcli.evaluation.metrics import accuracy_if_renamed, balanced_accuracy, too_weak
from kdcli.models.build import build
from kdcli.models.loading import load, read_args
from kdcli.models.model_args import ModelArgs
from kdcli.models.tap import Tap
from kdcli.models.teachers import Frozen
from kdcli.recipe.load import scheme_of
from kdcli.recipe.schema import Recipe
from kdcli.runs.spec import Spec, TeacherRef
from kdcli.training.learner import learner_args
from kdcli.training.site import Site

TOLD = 4
"""So many teachers are told of one by one; of more, from the worst to the best."""

WEAK_TOLD = 3
"""Of many, so many weak ones are named."""


def open_teachers(
    spec: Spec, site: Site, paths: Sequence[Path | None], validation: Store
) -> Iterator[tuple[str, Frozen]]:
    """`spec.members` by their names, each opened when it is asked for and measured on validation:
    a weak one hurts its student (docs/evidence.md: one of 88% cost 3.3 points).

    `paths` are their model.pt files; None, in a rehearsal, is an untrained stand-in.

    Raises:
        UnfitTeacher: they are hardly better than chance, or one that was given is, or has its
            classes in another order.
    """
    precision = spec.recipe.teacher.precision
    roll = Roll(spec, site, validation)
    for i, (path, ref) in enumerate(zip(paths, spec.members, strict=True)):
        by = f"teacher.{i}"
        if path is None:
            yield by, Frozen(stand_in(by, ref, spec.recipe, site.classes).to(site.device))
            continue
        opened = open_teacher(path, site.device, by, precision)
        roll.call(opened, ref)
        yield by, Frozen(opened.tap)


@dataclass(frozen=True, eq=False)
class Opened:
    """A finished teacher, ready to be asked, and where it came from."""

    path: Path
    tap: Tap
    foreign: bool
    """It was adopted, not trained by kd."""


def open_teacher(path: Path, device: torch.device, by: str = "", precision: str = "fp32") -> Opened:
    """The model of a model.pt.

    Raises:
        DamagedFile: a file that holds no such model.
    """
    loaded = load(path)
    tap = Tap(loaded.module, loaded.args, by, precision).to(device)
    return Opened(path, tap, foreign=loaded.file.provenance.get("role") == "given")


class Roll:
    """Measures each teacher of `spec` on validation, once, before it teaches.

    At balanced accuracy, with its 95% interval: right on nine of ten images is no better than
    chance where nine of ten are of one class. It says how they did: of few each, of many the first
    weak ones and, in the end, all.
    """

    def __init__(self, spec: Spec, site: Site, validation: Store) -> None:
        self._expected, self._spec, self._recipe = len(spec.members), spec, spec.recipe
        self._validation, self._device, self._progress = validation, site.device, site.progress
        self._shares: list[float] = []
        self._weak = 0

    def call(self, teacher: Opened, ref: TeacherRef) -> None:
        """Measure the next one.

        Raises:
            UnfitTeacher: a given one is hardly better than chance, or has its classes in another
                order; or all are, with the last one.
        """
        found = _measured(teacher, self._validation, self._device)
        _refuse_unfit(found, ref, self._recipe, self._validation)
        few = self._expected <= TOLD
        self._shares.append(found.share)
        self._weak += found.weak
        last = len(self._shares) == self._expected
        if last and self._weak == self._expected and needs_good_teachers(self._spec):
            words = found.words if self._expected == 1 else self._sum()
            raise UnfitTeacher(f"{words}: a student would learn next to nothing", _BETTER)
        if found.weak and (few or self._weak <= WEAK_TOLD):
            self._progress.warn(f"{found.words}: a student has little to learn from it")
        elif few:
            self._progress.say(found.words)
        if last and not few:
            self._progress.say(self._sum())

    def _sum(self) -> str:
        shares = self._shares
        weak = f"; {self._weak} of them hardly better than chance" if self._weak else ""
        return (
            f"{len(shares)} teachers: balanced validation accuracy {min(shares):.3f} to "
            f"{max(shares):.3f}, {sum(shares) / len(shares):.3f} on average{weak}"
        )


@dataclass(frozen=True, eq=False)
class _Measured:
    """How a teacher did on validation: its balanced accuracy, and the classes that it named."""

    teacher: Opened
    answers: Indices
    share: float
    interval: Interval
    classes: int

    @property
    def weak(self) -> bool:
        return too_weak(self.interval, self.classes)

    @property
    def words(self) -> str:
        words = (
            f"teacher {self.teacher.path}: balanced validation accuracy {self.share:.3f} "
            f"(95% CI {self.interval.low:.3f} to {self.interval.high:.3f})"
        )
        chance = f", hardly better than chance ({1 / self.classes:.3f})"
        return words + (chance if self.weak else "")


def _measured(teacher: Opened, validation: Store, device: torch.device) -> _Measured:
    classes = teacher.tap.args.num_classes
    answers = answers_of(teacher.tap, validation, device).argmax(1)
    share, interval = balanced_accuracy(answers, validation.labels, classes)
    return _Measured(teacher, answers, share, interval, classes)


def _refuse_unfit(found: _Measured, ref: TeacherRef, recipe: Recipe, validation: Store) -> None:
    """Of given ones, each; nothing is wrong with the file of one that was trained here, whose
    weakness `Roll` weighs when all have been called."""
    if ref.spec is not None or recipe.teacher.allow_weak:
        return
    _refuse_other_order(found.answers, validation, found.classes, found.teacher.path)
    if found.weak:
        raise UnfitTeacher(
            found.words,
            f"give a better teacher, {_IF_FOREIGN if found.teacher.foreign else ''}or go on with "
            "--set teacher.allow_weak=true",
        )


def needs_good_teachers(spec: Spec) -> bool:
    """Whether weak teachers end it: generations become better from one to the next, one that is
    followed begins at chance, and a person may allow them."""
    teacher = spec.recipe.teacher
    in_chain = spec.role == "generation" or scheme_of(spec.recipe).has_generations
    return not (teacher.allow_weak or teacher.follow != "finished" or in_chain)


def measure_given(spec: Spec, site: Site) -> None:
    """Open every teacher that need not be trained, for what is then said or refused: before the
    others are trained for nothing, and in a dry run.

    Those of its assistants, too.

    Raises:
        UnfitTeacher: one is hardly better than chance, or has its classes in another order.
    """
    for ref in spec.teachers:
        if ref.spec:
            measure_given(ref.spec, site)
    if given := tuple(ref for ref in spec.teachers if ref.path):
        only = spec.model_copy(update={"teachers": given})
        store = open_store(site.source.validation, int(spec.recipe.data.image_size), site.progress)
        roll = Roll(only, site, store)
        for ref in given:
            roll.call(open_teacher(Path(ref.path or ""), site.device), ref)


def stand_in(by: str, ref: TeacherRef, recipe: Recipe, classes: int) -> Tap:
    """An untrained model in a teacher's place, as its own training would build it: heads, copies
    and stem included, since it stands for what the teacher's answers will take."""
    args = stand_in_args(ref, classes)
    return Tap(build(args), args, by, recipe.teacher.precision)


def stand_in_args(ref: TeacherRef, classes: int) -> ModelArgs:
    """Of the model that a teacher will be, or is."""
    return learner_args(ref.spec, classes) if ref.spec else read_args(Path(ref.path or ""))[0]


_BETTER = (
    "train it longer or otherwise (--set teacher.recipe=...), begin with pretrained weights, give "
    "more images, or go on with --set teacher.allow_weak=true"
)
_IF_FOREIGN = (
    "say the order of its classes (--classes FILE) or the image size it was trained for "
    "(--set data.image_size=N), "
)


def _refuse_other_order(answers: Indices, validation: Store, classes: int, path: Path) -> None:
    """A good teacher whose classes stand in another order than the data's teaches nonsense.

    Twice as good and a fifth of the images more: the best renaming of many is always a little
    better, by luck.
    """
    right = float((answers == validation.labels).mean())
    renamed = accuracy_if_renamed(answers, validation.labels, classes)
    if renamed > 2 * right and renamed - right > 0.2:
        raise UnfitTeacher(
            f"teacher {path}: right on {right:.0%} of the validation images, but on {renamed:.0%} "
            "if its classes had other names: they seem to stand in another order than the data's",
            "name them in their own order with --classes labels.txt, or go on with "
            "--set teacher.allow_weak=true",
        )
