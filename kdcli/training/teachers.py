"""Finished teachers, opened and measured before they teach."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import torch

from kdcli.core.arrays import Indices
from kdcli.core.errors import UnfitTeacher
from kdcli.data.store import Store, plain_store
from kdcli.evaluation.answers import answers_of
from kdcli.evaluation.class_order import permuted_classes
from kdcli.evaluation.standing import Standing, standing, standing_at
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
        yield by, Frozen(opened.tap, opened.answers(site.source.classes))


@dataclass(frozen=True, eq=False)
class Opened:
    """A finished teacher, ready to be asked, and where it came from."""

    path: Path
    tap: Tap
    foreign: bool
    """It was adopted, not trained by kd."""
    classes: tuple[str, ...]
    """Its own, which `teacher.tune: none` lets be others than the data's."""

    def answers(self, classes: tuple[str, ...]) -> bool:
        """Whether it can be asked for these classes of the data."""
        return self.classes == classes


def open_teacher(path: Path, device: torch.device, by: str = "", precision: str = "fp32") -> Opened:
    """The model of a model.pt.

    Raises:
        DamagedFile: a file that holds no such model.
    """
    loaded = load(path)
    tap = Tap(loaded.module, loaded.args, by, precision).to(device)
    foreign = loaded.file.provenance.get("role") == "given"
    return Opened(path, tap, foreign, loaded.file.classes)


class Roll:
    """Measures each teacher of `spec` on validation, once, before it teaches.

    It says how they did: of few each, of many the first weak ones and, in the end, all.
    """

    def __init__(self, spec: Spec, site: Site, validation: Store) -> None:
        self._expected, self._spec, self._recipe = len(spec.members), spec, spec.recipe
        self._validation, self._site, self._progress = validation, site, site.progress
        self._shares: list[float] = []
        self._weak = 0

    def call(self, teacher: Opened, ref: TeacherRef) -> Standing | None:
        """Measure the next one; None of one with other classes, which has no answer to measure.

        Raises:
            UnfitTeacher: a given one is hardly better than chance, or has its classes in another
                order; or all are, with the last one.
        """
        tap, labels = teacher.tap, self._validation.labels
        if not teacher.answers(self._site.source.classes):
            self._progress.say(
                f"teacher {teacher.path}: {len(teacher.classes):,} classes of its own: asked for "
                "what it sees, not for what it answers"
            )
            return None
        answers = answers_of(tap, self._validation, self._site.device).argmax(1)
        found = standing(f"teacher {teacher.path}", answers, labels, tap.args.num_classes)
        # whoever was trained here is only warned about: its training is what was asked for, and
        # nothing is wrong with its file
        if ref.spec is None and not self._recipe.teacher.allow_weak:
            _refuse_permuted(teacher, answers, labels, self._site.source.classes)
            _refuse_weak(found, teacher)
        self._count(found)
        return found

    def knows(self, path: Path, ref: TeacherRef, share: float) -> bool:
        """Count the next one by the balanced accuracy that it was measured at before. False: it
        might be refused, and has to be measured again."""
        labels, classes = self._validation.labels, self._site.classes
        found = standing_at(f"teacher {path}", share, labels, classes)
        if found.weak and ref.spec is None and not self._recipe.teacher.allow_weak:
            return False
        self._count(found)
        return True

    def _count(self, found: Standing) -> None:
        few = self._expected <= TOLD
        self._shares.append(found.share)
        self._weak += found.weak
        last = len(self._shares) == self._expected
        if last and self._weak == self._expected and needs_good_teachers(self._spec):
            words = found.words if self._expected == 1 else self._sum()
            raise UnfitTeacher(f"{words}: a student would learn next to nothing", _BETTER)
        if found.weak and (few or self._weak <= WEAK_TOLD):
            self._progress.warn(found.warning)
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


def _refuse_weak(found: Standing, teacher: Opened) -> None:
    if found.weak:
        raise UnfitTeacher(
            found.words,
            f"give a better teacher, {_IF_FOREIGN if teacher.foreign else ''}or go on with "
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
        store = plain_store(site.source.validation, spec.recipe, site.progress)
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


def _refuse_permuted(
    teacher: Opened, answers: Indices, labels: Indices, classes: tuple[str, ...]
) -> None:
    """A good teacher whose classes stand in another order than the data's teaches nonsense."""
    if (found := permuted_classes(answers, labels, len(classes))) is None:
        return
    # --classes is for NAME=FILE: of one that kd trained, the same file as anybody's
    file = "" if teacher.foreign else quote(f"{teacher.tap.args.name}={teacher.path}")
    named = f"--teacher {file} --classes labels.txt" if file else "--classes labels.txt"
    raise UnfitTeacher(
        f"teacher {teacher.path}: {found.words(classes)}",
        f"name them in their own order ({named}), or go on with --set teacher.allow_weak=true",
    )
