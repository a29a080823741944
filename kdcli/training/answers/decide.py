"""Whether teachers are asked at every step, or once: decided by counts, never by a timing.

A finished teacher's answer to a view of an image never changes. Stored, it serves every epoch,
seed, recipe and student whose images are varied alike (`store`).
"""

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdcli.core import registry
from kdcli.core.arrays import Indices
from kdcli.core.errors import UnmetNeeds
from kdcli.core.files import existing, sha256
from kdcli.core.method import Method
from kdcli.core.scheme import Scheme
from kdcli.core.text import counted, size_in_words, total
from kdcli.data.source import Split
from kdcli.data.subset import training_split
from kdcli.data.unlabelled import known_of
from kdcli.evaluation.cost import costs
from kdcli.recipe.load import scheme_of
from kdcli.recipe.schema import Recipe
from kdcli.runs.find import answers_root, find
from kdcli.runs.spec import Spec
from kdcli.training.answers.key import key_of
from kdcli.training.answers.store import AnswerStore
from kdcli.training.learner import learner_args
from kdcli.training.site import Site
from kdcli.training.teachers import stand_in_args
from kdcli.training.transfer_set import images_in_all

VIEWS = 16
"""Of each image where answers are stored because a person asked for it, and no number was given.
On digits, of 30 epochs, 1 costs a point and 16 nothing (`benchmarks/views.py`, docs/answers.md)."""

ALIKE = 8
"""Batches of twice this and more, in multiples of it, are summed in the same order: their answers
are the same to the bit, whatever the batch and the threads (measured with torch 2.14 on x86: 27
models of 28). Else 1e-7 of a logit can become another student in some hundred steps."""

OF_FREE_DISK = 10
"""Unasked, no more than one part in so many of what is free."""


@dataclass(frozen=True, eq=False)
class Way:
    """How the teachers of a training are asked."""

    why: str = ""
    """In words; empty where nobody is asked."""
    stored: bool = False
    views: int = 0
    """That their stores will have."""
    missing: int = 0
    """Views still to be asked about."""
    stores: tuple[AnswerStore, ...] = ()
    """One per teacher, in their order; of a transfer set one for all, and who is near whom. None
    where a teacher is not there yet."""
    wanted: int = 0
    """Of the views, as many as the training looks at."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the stores' folders, where they are looked up."""
        return tuple(store.name for store in self.stores) if self.stored else ()

    @property
    def words(self) -> str:
        """`teachers' answers stored: ...`; empty where nobody is asked."""
        how = "stored" if self.stored else "live"
        return f"teachers' answers {how}: {self.why}" if self.why else ""


LIVE = Way()
"""Nothing of theirs is stored."""


def decide(
    spec: Spec,
    site: Site,
    files: Sequence[Path | None] | None = None,
    begun: bool | None = None,
) -> Way:
    """How the teachers of `spec` are to be asked; `files` are their model.pt (None: not there yet),
    looked for where nobody says.

    `begun` says whether a training that goes on has looked its teachers up, which then stays.

    Raises:
        UnmetNeeds: `teacher.keep` holds back what a method needs.
    """
    recipe, settings = spec.recipe, spec.recipe.teacher
    if not spec.teachers or not scheme_of(recipe).needs_teacher:
        return LIVE
    files = files or finished_teachers(spec)
    if scheme_of(recipe).labelled_by_teachers:
        return _labelling(spec, site, files)
    if why := why_live(recipe):
        if settings.keep != "all":
            raise UnmetNeeds(
                f"teacher.keep={settings.keep}: {why}, so nothing of its answers can be left out",
                "leave teacher.keep and teacher.answers out",
            )
        return Way(why)
    if settings.answers == "live":
        return Way("as teacher.answers says")
    views = (spec.views or int(recipe.train.epochs)) if recipe.varies else 1
    split = training_split(spec, site.source)
    stores = tuple(_stores(spec, site, split, files)) if all(files) else ()
    missing = wanted = min(views, _passes(recipe, split.labels))
    if stores:
        missing = sum(not all(store.has(view) for store in stores) for view in range(wanted))
    size = missing * len(split) * site.classes * 4 * len(spec.members)
    are = "is" if missing == 1 else "are"
    rest = f"{missing:,} {are} still to be asked about ({size_in_words(size)})"
    what = f"{counted(views, 'view')} of {len(split):,} images, {'of which ' * bool(missing)}" + (
        rest if missing else "all there"
    )
    found = Way(what, True, views, missing, stores, wanted)
    if begun is not None:
        return found if begun else Way("as this training was begun")
    if settings.answers == "stored":
        return found
    why = _not_the_same(spec, len(split)) or _no_gain(spec, site, split, missing, size)
    return Way(why) if why else found


def _labelling(spec: Spec, site: Site, files: Sequence[Path | None]) -> Way:
    """Of teachers that label a transfer set: as one, the images as they are, before the first
    step."""
    images, recipe = images_in_all(spec, site.source), spec.recipe
    panel, pool = scheme_of(recipe).panel(len(spec.members)), recipe.data.pool
    stores: tuple[AnswerStore, ...] = ()
    if all(files):
        key = key_of(spec, site, training_split(spec, site.source))
        key |= {"augment": None, "randaugment": None, "precision": "fp32"}
        key |= {
            "teachers": [sha256(file) for file in files if file],
            "panel": [panel.aggregate, *panel.weights],
            "unlabelled": spec.unlabelled.deciding if spec.unlabelled else None,
            "pool": [pool.model_dump(), spec.seed] if pool else None,
            "allow_weak": recipe.teacher.allow_weak,  # who was not refused when they were asked
        }
        stores = (AnswerStore(spec.members[0].model, key, images),)
        if pool and pool.by == "munge_patch":
            real = images // (1 + pool.times)
            stores += (AnswerStore(spec.members[0].model, key | {"what": "neighbours"}, real),)
    missing = int(not (stores and all(store.has(0) for store in stores)))
    what = "are asked for once" if missing else "are looked up"
    return Way(f"labels of {images:,} images {what}", True, 1, missing, stores)


def why_live(recipe: Recipe) -> str:
    """Why its teachers have to be asked at every step; empty: they need not.

    Of a stored teacher there are logits and, where a person asks for it, embeddings.
    """
    if recipe.teacher.follow != "finished":
        return "they still learn"
    if recipe.train.balance == "sampler" and recipe.varies and not _fewer(recipe):
        return (
            "a sampler shows rare classes in more views than there are epochs (teacher.views says "
            "how many there are)"
        )
    scheme = scheme_of(recipe)
    if type(scheme).step is not Scheme.step:
        return f"scheme {recipe.scheme.name} shows them more than the batch"
    kept = {"logits", "embedding"} if recipe.teacher.answers == "stored" else {"logits"}
    for name, method in _methods(recipe):
        if further := method.needs - kept:
            return f"{name} reads their {' and '.join(sorted(further))}"
        if method.reads_weights:
            return f"{name} reads their weights"
    return ""


def _fewer(recipe: Recipe) -> bool:
    """Whether epochs go round a number of views that was said."""
    views, epochs = recipe.teacher.views, recipe.train.epochs
    return views != "auto" and (epochs == "auto" or views < epochs)


def _methods(recipe: Recipe) -> Iterator[tuple[str, type[Method]]]:
    """Each with its name in the recipe."""
    for name, use in recipe.methods.items():
        yield name, registry.load("methods", use.use or name)


def finished_teachers(spec: Spec) -> list[Path | None]:
    """The model.pt of each of `spec.members`; None for those that have yet to be trained."""
    if spec.alongside:
        return [None] * len(spec.alongside)
    known = [find(ref.spec) if ref.spec else None for ref in spec.members]
    return [
        Path(ref.path) if ref.path else run.model if run and run.finished else None
        for ref, run in zip(spec.members, known, strict=True)
    ]


def _not_the_same(spec: Spec, images: int) -> str:
    """Why stored answers would not be those of live ones to the bit; empty: they are."""
    train = spec.recipe.train
    together = min(int(train.batch_size), images) // train.accumulate
    if together >= 2 * ALIKE and together % ALIKE == 0:
        return ""
    return (
        f"batches of {together} are answered otherwise than larger ones, by rounding, multiples of "
        f"{ALIKE} from {2 * ALIKE} on are not; --set teacher.answers=stored takes them all the same"
    )


def _passes(recipe: Recipe, labels: Indices) -> int:
    """How often the image that is shown most often is shown, at most."""
    train, share = recipe.train, recipe.data.labelled_share
    known = known_of(labels)
    unknown = len(labels) - known
    shown = int(train.epochs) * train.epoch_of(known)
    if not share or not unknown:
        return math.ceil(shown / known)
    return math.ceil(shown * max(share / known, (1 - share) / unknown))


def _no_gain(spec: Spec, site: Site, split: Split, missing: int, size: int) -> str:
    """Why it is not worth it unasked, in words; empty: it is.

    By askings of all images: live it is one in each epoch of each student.
    """
    # seeds that draw images of their own, or have teachers of their own, have nothing in common
    generations = any(ref.spec and ref.spec.role == "generation" for ref in spec.teachers)
    students = 1 if generations or spec.recipe.data.subset != 1 else site.students
    epoch = spec.recipe.train.epoch_of(known_of(split.labels))
    if missing * len(split) >= students * int(spec.recipe.train.epochs) * epoch:
        who = counted(students, "student")
        return f"{who}, {counted(missing, 'view')} to be asked about: nothing would be asked twice"
    free = shutil.disk_usage(existing(answers_root())).free
    if size * OF_FREE_DISK > free:
        return (
            f"they would take {size_in_words(size)}, more than a tenth of what is free; "
            "--set teacher.answers=stored keeps them all the same"
        )
    macs = total([costs(stand_in_args(ref, site.classes))["macs"] for ref in spec.members])
    own = costs(learner_args(spec, site.classes))["macs"]
    if macs is not None and own is not None and macs < own:
        return "they take less than their student"
    return ""


def _stores(
    spec: Spec, site: Site, split: Split, files: Sequence[Path | None]
) -> Iterator[AnswerStore]:
    about = key_of(spec, site, split)
    for ref, file in zip(spec.members, files, strict=True):
        assert file is not None
        # a given one has just been compared with its sum
        yield AnswerStore(ref.model, {"teacher": ref.sha256 or sha256(file)} | about, len(split))
