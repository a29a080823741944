"""Who is compared in a run that was taught: its teachers, and the assistants on the way."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from kdcli import catalog
from kdcli.commands.teacher import refuse_changed
from kdcli.commands.train import teacher_file
from kdcli.data.complete import some
from kdcli.data.source import Source
from kdcli.files import sha256
from kdcli.progress import Progress
from kdcli.records import Panel, Scheme
from kdcli.runs import Need, Run
from kdcli.spec import Spec, TeacherRef

SHOWN = 3
"""Files that a message names."""


@dataclass(frozen=True)
class Member:
    """A single teacher or assistant, and where its model.pt lies."""

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
        known = Run(self.file.parent).outcome() if self.ref.spec else {}
        return known.get("val_accuracy")


@dataclass(frozen=True)
class Cast:
    """The single teachers, and who stands between them and the student."""

    teachers: tuple[Member, ...]
    """Those at the head of the chain; all members of an ensemble."""
    panel: Panel
    """How the teachers answer as one; of as many as there should be."""
    assistants: dict[str, Member]
    """By role, from the head of the chain down: `assistant`, or `assistant_1`, `assistant_2`."""

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
    *below, head = _chain(run.spec)
    needs, found = run.needs(), list[tuple[Member, ...]]()
    for spec in below:
        found.insert(0, _members(spec, needs, place))
        needs = Run(found[0][0].file.parent).needs() if found[0] else {}
    names = [f"assistant_{i}" for i in range(1, len(found) + 1)]
    names = names if len(names) > 1 else ["assistant"]
    assistants = {name: one[0] for name, one in zip(names, found, strict=False) if one}
    return Cast(_members(head, needs, place), panel_of(head), assistants)


def panel_of(spec: Spec) -> Panel:
    """How the teachers of a spec answer as one."""
    use = spec.recipe.scheme
    scheme: Scheme = catalog.load("schemes", use.name)(**use.options)
    return scheme.panel(len(spec.members))


def find_cast(run: Run, source: Source, device: torch.device, progress: Progress) -> Cast:
    """The cast of a run; a teacher that kd can train is trained where its file is gone.

    Warns of files that are not those that the run was made with.

    Raises:
        DamagedFile: given teachers that are gone, or are other files by now.
    """
    chain = _chain(run.spec)
    refuse_changed(ref for spec in chain for ref in spec.members if ref.path)

    def place(ref: TeacherRef, need: Need | None) -> Path:
        if ref.path:
            return Path(ref.path)
        if need and need.path.is_file():
            return need.path
        return teacher_file(ref, source, device, progress)

    cast = cast_of(run, place)
    everyone = (*cast.teachers, *cast.assistants.values())
    changed = [
        os.path.normpath(m.file) for m in everyone if m.recorded not in (None, sha256(m.file))
    ]
    if changed:
        progress.warn(f"{some(changed, SHOWN)}: not the bytes that {run.path} was made with")
    return cast


def cast_at_hand(run: Run) -> Cast:
    """Those of the cast who still lie where the run left them."""
    return cast_of(run, lambda _, need: need.path if need and need.path.is_file() else None)


def _chain(spec: Spec) -> list[Spec]:
    """A spec, and those of the assistants above it: the last one's teachers are no assistants."""
    above = spec.members[0].spec if len(spec.members) == 1 else None
    return [spec, *(_chain(above) if above and above.role == "assistant" else ())]


def _members(spec: Spec, needs: dict[str, Need], place: Place) -> tuple[Member, ...]:
    named = [(i, ref, needs.get(f"teacher.{i}")) for i, ref in enumerate(spec.members)]
    placed = [(i, ref, place(ref, need), need) for i, ref, need in named]
    return tuple(
        Member(ref, file, need.sha256 if need else None, i) for i, ref, file, need in placed if file
    )
