"""Several teachers asked about the same images, one after another: one model and a running mean are
in memory, however many there are."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from kdcli.core.arrays import Indices
from kdcli.core.records import Panel
from kdcli.data.loader import plain_batches
from kdcli.data.neighbours import neighbours
from kdcli.data.store import Store
from kdcli.evaluation.answers import Logits, answers_of, counted_batches, together
from kdcli.evaluation.cost import architecture
from kdcli.models.route import View
from kdcli.models.tap import Tap
from kdcli.runs.spec import Spec, TeacherRef
from kdcli.training.site import Site
from kdcli.training.teachers import Roll, open_teacher, stand_in, stand_in_args


@dataclass(frozen=True)
class Respondent:
    """A teacher to be asked, and how much its answer counts."""

    path: Path | None
    """None: an untrained one."""
    ref: TeacherRef
    weight: float
    count: int = 1
    """For how many it answers: in a rehearsal one of each architecture is asked."""


def members_of(
    teachers: Sequence[Path | None], refs: Sequence[TeacherRef], panel: Panel
) -> list[Respondent]:
    """The model.pt files of `refs`, with their weights."""
    return [Respondent(*one) for one in zip(teachers, refs, panel.weights, strict=True)]


def one_of_each(members: Sequence[Respondent], classes: int) -> list[Respondent]:
    """The first of each architecture, for all of it: they take the same time.

    Architecture is all that shapes a model, heads and copies too: three copies under one name take
    three times as long.
    """
    kinds: dict[str, str] = {}  # a thousand that differ in their seeds need one look
    found: dict[str, Respondent] = {}
    for one in members:
        if (alike := one.ref.kind) not in kinds:
            kinds[alike] = architecture(stand_in_args(one.ref, classes))
        kind = kinds[alike]
        first = found.get(kind)
        found[kind] = (
            replace(first, weight=first.weight + one.weight, count=first.count + 1)
            if first
            else one
        )
    return list(found.values())


@dataclass(frozen=True, eq=False)
class Asking:
    """Whose teachers are asked, on which device, and who is told."""

    spec: Spec
    site: Site

    @property
    def image_size(self) -> int:
        """Pixels of a side, as the student sees the images: teachers label what it is shown, from
        which each resizes for itself."""
        return int(self.spec.recipe.data.image_size)

    def answers(
        self, members: Sequence[Respondent], panel: Panel, store: Store, roll: Roll | None = None
    ) -> tuple[Tensor, float]:
        """(N, K) logits of all as one, in fp32, and the seconds that answering takes: of one of
        each architecture, as many times as it stands for.

        Each is loaded, called by `roll`, asked about every image, and let go; memory does not grow
        with their number.

        Raises:
            UnfitTeacher: `roll` refuses one.
        """
        seconds: list[float] = []
        # closed, else the bar would outlive an error; seconds are those of answering alone, not of
        # loading: with many images that is what counts
        with closing(counted_batches(len(members), store, self.site.progress)) as ticks:

            def answer(member: Respondent) -> Logits:
                tap = self._open(member, roll)
                start = time.monotonic()
                logits = answers_of(tap, store, self.site.device, ticks, self.image_size)
                seconds.append(member.count * (time.monotonic() - start))
                return logits

            weights = tuple(member.weight for member in members)
            logits = together(map(answer, members), replace(panel, weights=weights))
        return torch.from_numpy(logits), sum(seconds)

    @torch.no_grad()
    def nearest(self, member: Respondent, store: Store) -> Indices:
        """(N,) each image's nearest one, where the teacher's classifier looks at them.

        MUNGE's distance is that of attributes. Pixels are none, so it is taken between embeddings.

        Raises:
            UnmetNeeds: the teacher shows no vector in front of its classifier.
        """
        tap = self._open(member)
        batches = plain_batches(store, num_classes=self.site.classes, image_size=self.image_size)
        vectors: list[torch.Tensor] = []
        for batch in batches:
            there = batch.to(self.site.device)
            if not vectors:
                tap.show(View(embedding=True), there.images[:2])
            vectors.append(tap(there).embedding.cpu())
        return neighbours(torch.cat(vectors).numpy())

    def _open(self, member: Respondent, roll: Roll | None = None) -> Tap:
        if member.path is None:
            tap = stand_in("", member.ref, self.spec.recipe, self.site.classes)
            return tap.to(self.site.device).eval()
        teacher = open_teacher(member.path, self.site.device)
        if roll:
            roll.call(teacher, member.ref)
        return teacher.tap
