"""Teachers that are asked once about each view of each image, and then looked up."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import chain, groupby, islice

import numpy as np
import torch

from kdcli.core.arrays import Indices
from kdcli.core.errors import UnmetNeeds
from kdcli.core.openmp import usable_cores, wanted_threads
from kdcli.core.progress import Progress, Silent
from kdcli.core.records import Batch, Outputs
from kdcli.core.text import counted
from kdcli.core.world import World
from kdcli.evaluation.kept_answers import Kept, covered, packed, unpacked
from kdcli.models.tap import in_parts
from kdcli.models.teachers import Frozen
from kdcli.recipe.teacher import Keep
from kdcli.training.answers.decide import ALIKE
from kdcli.training.answers.store import ROWS, AnswerStore
from kdcli.training.not_finite import refuse_bad_answers
from kdcli.training.processes.exchange import current
from kdcli.training.threads import using

LEAST_ON_AVERAGE, LEAST_OF_MOST = 0.99, 0.90
"""Of the probability that the kept logits have to have together: on average, and in all images but
one of a hundred."""

LOOKS = 0.2
"""Seconds between two looks whether other processes have written their shards."""
OPEN = 4
"""Views of a store that are mapped at a time: they come in order, but for rare classes."""

Answered = Callable[[Iterator[Batch]], Iterator[Batch]]
"""Hands batches on when teachers have answered to them."""

ViewBatches = Callable[[int, Indices], Iterator[Batch]]
"""The batches of some images, in order, as they are in a view, on the device: (view, rows)."""


class Stored:
    """A finished teacher whose answers lie on disk; there for whoever reads logits and, where they
    are kept, embeddings."""

    def __init__(self, by: str, store: AnswerStore, views: int, classes: int) -> None:
        self.by, self.store = by, store
        self._views, self._classes = views, classes
        self._open: dict[int, list[dict[str, np.ndarray]]] = {}

    def __call__(self, batch: Batch) -> Outputs:
        """By view and place of each image; its view must be there (`Once.answered`)."""
        views = (batch.view % self._views).tolist()
        shards = {view: self._shards(view) for view in dict.fromkeys(views)}
        rows = [
            (shards[view][place // ROWS], place % ROWS)
            for view, place in zip(views, batch.index.tolist(), strict=True)
        ]
        kept = {
            name: torch.from_numpy(np.stack([shard[name][row] for shard, row in rows]))
            for name in rows[0][0]
        }
        there = {name: rows.to(batch.images.device) for name, rows in kept.items()}
        return unpacked(there, self.by, self._classes)

    def _shards(self, view: int) -> list[dict[str, np.ndarray]]:
        if view not in self._open:
            while len(self._open) >= OPEN:
                del self._open[next(iter(self._open))]
            self._open[view] = [
                {name: tensor.numpy() for name, tensor in shard.items()}
                for shard in self.store.read(view)
            ]
        return self._open[view]


class Once:
    """Fills the stores of a training's teachers before they are looked up: all of them together, so
    that an image is made once for all."""

    def __init__(
        self,
        teachers: Sequence[Stored],
        models: Mapping[str, Callable[[], Frozen]],
        batches: ViewBatches,
        batch_size: int,
        views: int,
        keep: Keep,
        device: torch.device,
        progress: Progress,
        refuse: Callable[[range], None] = lambda rows: None,
    ) -> None:
        """`models` open a teacher by its name: when it is first asked, which may be never.
        `batch_size`, that of `batches`, divides `ROWS`. `refuse` raises where one of these images
        is not what its sum says any more."""
        self.teachers = {teacher.by: teacher for teacher in teachers}
        self._models, self._batches, self._size = models, batches, batch_size
        self._count, self._keep = views, keep
        self._device, self._progress, self._refuse = device, progress, refuse
        self._ready: set[int] = set()
        self._opened: dict[str, Frozen] = {}

    def answered(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches; before one is handed out, the teachers have been asked about its views."""
        for batch in batches:
            for view in sorted(set((batch.view % self._count).tolist())):
                self._prepare(view)
            yield batch

    def fill(self, views: int) -> None:
        """Ask about the first so many views, before anybody learns from them."""
        for view in range(views):
            self._prepare(view)

    def _prepare(self, view: int) -> None:
        if view in self._ready:
            return
        if self._lacking(view, Silent()):
            with ExitStack() as stack:
                # in one order, so that two kds do not wait for each other
                for one in sorted(self.teachers.values(), key=lambda one: one.store.name):
                    if current().is_first:
                        stack.enter_context(one.store.asking(self._progress))
                # another kd may have asked meanwhile
                if lacking := self._own_of(self._lacking(view, self._progress)):
                    self._ask(view, lacking)
            while self._lacking(view, Silent()):  # those of the other processes
                time.sleep(LOOKS)
            for teacher in self._opened.values():
                teacher.tap.cpu()  # the device's memory is the student's
        self._ready.add(view)

    def _lacking(self, view: int, progress: Progress) -> dict[int, list[Stored]]:
        """Who has to be asked about which shard, ascending."""
        found: dict[int, list[Stored]] = {}
        for teacher in self.teachers.values():
            for shard in teacher.store.lacks(view, progress):
                found.setdefault(shard, []).append(teacher)
        return dict(sorted(found.items()))

    def _own_of(self, lacking: dict[int, list[Stored]]) -> dict[int, list[Stored]]:
        """Of several processes, each has its own."""
        mine = own_shards(next(iter(self.teachers.values())).store.shards, current())
        return {shard: who for shard, who in lacking.items() if shard in mine}

    def _ask(self, view: int, lacking: Mapping[int, list[Stored]]) -> None:
        store = next(iter(self.teachers.values())).store
        rows = {shard: store.rows(shard) for shard in lacking}
        steps = {shard: -(-(last - first) // self._size) for shard, (first, last) in rows.items()}
        # one stream of batches for all shards that lie behind each other
        streams = (
            self._batches(view, np.arange(rows[each[0]][0], rows[each[-1]][1]))
            for each in _in_a_row(lacking)
        )
        who = f"{counted(len(self.teachers), 'teacher')} asked about view {view + 1}"
        feed = self._progress.track(chain.from_iterable(streams), sum(steps.values()), who)
        # large batches are shared well, by more threads than the student's steps may want
        with using(wanted_threads() or usable_cores()), closing(feed):
            for shard, teachers in lacking.items():
                kept: dict[str, list[Kept]] = {teacher.by: [] for teacher in teachers}
                for batch in islice(feed, steps[shard]):
                    for by, parts in kept.items():
                        parts.append(self._answers(by, batch))
                self._refuse(range(*rows[shard]))
                for teacher in teachers:
                    whole = joined(kept[teacher.by])
                    refuse_bad_answers(whole, teacher.by, rows[shard][0])
                    _refuse_uncovered(whole, self._keep, teacher.by)
                    teacher.store.write(view, shard, whole)

    def _answers(self, by: str, batch: Batch) -> Kept:
        if by not in self._opened:
            self._opened[by] = self._models[by]()
        teacher = self._opened[by]
        teacher.tap.to(self._device)
        return asked(teacher, batch, self._keep)


def own_shards(count: int, world: World) -> range:
    """Of so many shards, those that one of several processes fills; they follow each other."""
    return range(*(count * (world.rank + i) // world.size for i in range(2)))


def asked(teacher: Frozen, batch: Batch, keep: Keep) -> Kept:
    """What is kept of its answers, on the processor; of few images as of one of many."""
    parts = [
        {name: tensor.cpu() for name, tensor in packed(outputs, keep).items()}
        for outputs in in_parts(teacher, batch.repeated(2 * ALIKE))
    ]
    return {name: tensor[: len(batch.labels)] for name, tensor in joined(parts).items()}


def joined(parts: Sequence[Kept]) -> Kept:
    """One behind the other."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _in_a_row(shards: Iterable[int]) -> Iterator[list[int]]:
    """Runs of numbers, each one more than the one before."""
    for _, run in groupby(enumerate(shards), lambda place: place[1] - place[0]):
        yield [shard for _, shard in run]


def _refuse_uncovered(kept: Kept, keep: Keep, by: str) -> None:
    """Raise UnmetNeeds where the N largest logits leave out what a student would miss."""
    if "sum" not in kept:
        return
    shares = covered(kept)
    mean, low = float(shares.mean()), float(shares.quantile(0.01))
    if mean < LEAST_ON_AVERAGE or low < LEAST_OF_MOST:
        raise UnmetNeeds(
            f"teacher.keep={keep}: these logits of {by} have {mean:.3f} of the probability on "
            f"average and {low:.3f} in one image of a hundred; at least {LEAST_ON_AVERAGE} and "
            f"{LEAST_OF_MOST} are wanted",
            f"--set teacher.keep={2 * int(keep)} or more, or leave it out (all logits)",
        )
