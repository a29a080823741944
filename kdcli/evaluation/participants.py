"""Who is compared in a run that was taught: its teachers, and who stands between."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kdcli.core.files import sha256
from kdcli.core.records import Panel
from kdcli.recipe.load import scheme_of
from kdcli.runs.run import Need, Run
from kdcli.runs.spec import Spec, TeacherRef

SHOWN = 3
"""Files that a message names."""


@dataclass(frozen=True)
class Member:
    """A single teacher, assistant or generation, and where its model.pt lies."""

    ref: TeacherRef
    file: Path
    recorded: str | None
    """The file's sha256 when it taught; None where nobody wrote it down."""
    number: int
    """Its place among all that the spec names, whoever of them is at hand."""

    @property
    def validation(self) -> float | None:
        """Its accuracy on the validation images of these data; None where it was given, and may
        have been trained on others."""
        alone = self.ref.spec and self.file.name == "model.pt"  # else its student's run is there
        known = Run(self.file.parent).outcome() if alone else {}
        return known.get("val_accuracy")


@dataclass(frozen=True)
class Cast:
    """The single teachers, and who stands between them and the student."""

    teachers: tuple[Member, ...]
    """Those at the head of the chain; all members of an ensemble."""
    panel: Panel
    """How the teachers answer as one; of as many as there should be."""
    assistants: dict[str, Member]
    """By role, from the head of the chain down: `assistant`, or `assistant_1`, `assistant_2`; or
    the generations in front of the student, `generation_1`, ..."""

    @property
    def is_ensemble(self) -> bool:
        """There are several teachers, and all are at hand."""
        return 1 < len(self.teachers) == len(self.panel.weights)

    @property
    def best(self) -> int | None:
        """The number of the teacher that is best on validation, the first of equals; None where
        one's accuracy is not known."""
        known = [member.validation for member in self.teachers]
        ranked = [accuracy for accuracy in known if accuracy is not None]
        if not ranked or len(ranked) < len(known):
            return None
        return self.teachers[ranked.index(max(ranked))].number


Place = Callable[[TeacherRef, Need | None], Path | None]
"""Where a teacher's model.pt lies, from what is known of it; None: nowhere to be had."""


def cast_of(run: Run, place: Place) -> Cast:
    """Everyone above a taught student, each looked up once; who has no place is left out."""
    chain = chain_of(run.spec)
    *below, head = chain
    needs, found = run.needs() | _alongside(run), list[tuple[Member, ...]]()
    for spec in below:
        found.insert(0, _members(spec, needs, place))
        needs = Run(found[0][0].file.parent).needs() if found[0] else {}
    named = zip(_names(chain[:0:-1]), found, strict=True)
    assistants = {name: one[0] for name, one in named if one}
    return Cast(_members(head, needs, place), panel_of(head), assistants)


def _names(between: list[Spec]) -> list[str]:
    """The roles of those who stand between, from the head of the chain down."""
    if [spec.role for spec in between] == ["assistant"]:
        return ["assistant"]
    return [f"{spec.role}_{i}" for i, spec in enumerate(between, 1)]


def panel_of(spec: Spec) -> Panel:
    """How the teachers of a spec answer as one; there may be none."""
    count = len(spec.members)
    return scheme_of(spec.recipe).panel(count) if count else Panel(())


def cast_at_hand(run: Run) -> Cast:
    """Those of the cast whose model.pt still lies where the run left it; nobody is trained."""
    return cast_of(run, _at_hand)


def changed(cast: Cast) -> list[Path]:
    """Its files that are not the bytes that the run was made with."""
    found = (*cast.teachers, *cast.assistants.values())
    return [one.file for one in found if one.recorded not in (None, sha256(one.file))]


def notes_on_changed(run: Run) -> list[str]:
    """That figures may be of other models than the run's."""
    return [
        f"{os.path.normpath(file)}: not the bytes that this run was made with, so that its figures "
        "may be another model's"
        for file in changed(cast_at_hand(run))
    ]


def with_given_files(run: Run) -> Spec:
    """Its spec, with given teachers where they lie now: a project's folder may have moved."""
    return _with_files(run.spec, given_files(run) if run.spec.teachers else {})


def _with_files(spec: Spec, given: dict[str | None, Path]) -> Spec:
    def moved(ref: TeacherRef) -> TeacherRef:
        if ref.spec:
            return ref.model_copy(update={"spec": _with_files(ref.spec, given)})
        path = given.get(ref.sha256)
        return ref.model_copy(update={"path": str(path.resolve())}) if path else ref

    return spec.model_copy(update={"teachers": tuple(map(moved, spec.teachers))})


def given_files(run: Run) -> dict[str | None, Path]:
    """Where the given teachers of its chain lie, by their sha256: as needs.json says, relative to
    the run, or as they were named."""
    found: dict[str | None, Path] = {}

    def place(ref: TeacherRef, need: Need | None) -> Path | None:
        if not ref.path:
            return _at_hand(ref, need)
        places = [*([need.path] if need else []), Path(ref.path)]
        same = (path for path in places if path.is_file() and sha256(path) == ref.sha256)
        if path := next(same, None):
            found[ref.sha256] = path
        return path

    cast_of(run, place)
    return found


def _alongside(run: Run) -> dict[str, Need]:
    """Teachers that learnt with the student: they lie beside it; who is gone leaves a gap."""
    files = enumerate(map(run.other, run.spec.alongside))
    return {f"teacher.{i}": Need(file, sha256(file)) for i, file in files if file.is_file()}


def _at_hand(_: TeacherRef, need: Need | None) -> Path | None:
    return need.path if need and need.path.is_file() else None


def chain_of(spec: Spec) -> list[Spec]:
    """A spec, and those who stand between it and its teachers, which are the last one's."""
    above = spec.members[0].spec if len(spec.members) == 1 else None
    return [spec, *(chain_of(above) if above and above.stands_between else ())]


def _members(spec: Spec, needs: dict[str, Need], place: Place) -> tuple[Member, ...]:
    named = [(i, ref, needs.get(f"teacher.{i}")) for i, ref in enumerate(spec.members)]
    placed = [(i, ref, place(ref, need), need) for i, ref, need in named]
    return tuple(
        Member(ref, file, need.sha256 if need else None, i) for i, ref, file, need in placed if file
    )
