"""From what a person named to the teachers of a spec."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from kdcli.core.errors import UsageError
from kdcli.core.files import sha256
from kdcli.core.progress import Progress, Silent
from kdcli.data.loader import plain_batches
from kdcli.data.source import Source
from kdcli.data.store import open_store
from kdcli.evaluation.class_order import told_apart
from kdcli.evaluation.metrics import accuracy
from kdcli.models.adopt import shown, teacher_from
from kdcli.models.build import build
from kdcli.models.checkpoint import load_model
from kdcli.models.given import Given, Read, is_given, parse, size_of
from kdcli.models.loading import read_args
from kdcli.models.reordered import in_order
from kdcli.models.tap import Tap, predict
from kdcli.plan.data import say_other_decoding, warn_of_measured, warn_of_seen
from kdcli.plan.defaults import usual_crop_pct
from kdcli.plan.job import Job, Shared, refuse_taught, train_spec
from kdcli.plan.names import is_file, started, teacher_name
from kdcli.plan.untuned import has_other_classes, refuse_unheard, untuned
from kdcli.recipe.edit import update
from kdcli.recipe.load import load_recipe, recipe_names
from kdcli.recipe.schema import Recipe
from kdcli.recipe.who import TeacherEntry
from kdcli.runs.locate import locate
from kdcli.runs.spec import FileRef, Spec, TeacherRef

Entry = str | TeacherEntry
"""A teacher as --teacher takes it, or as who.teachers does."""


def named(entry: Entry, progress: Progress) -> Entry:
    """The entry with its model as `names.teacher_name` has it; families are resolved aloud."""
    if isinstance(entry, str):
        return teacher_name(entry, progress)
    return entry.model_copy(update={"model": teacher_name(entry.model, progress)})


def teacher_refs(entries: Sequence[Entry], shared: Shared) -> tuple[TeacherRef, ...]:
    """Who teaches, from what was named.

    Raises:
        UsageError: one is named twice, or is finished and has seeds or a subset.
        UnfitTeacher: a finished one's classes are not those of the data.
    """
    models = [entry if isinstance(entry, str) else entry.model for entry in entries]
    if shared.labels and not any(map(is_given, models)):
        raise UsageError(
            "--classes names the classes of foreign weights; "
            + (f"{models[0]} is none" if models else "no teacher has any"),
            "leave --classes out, or give --teacher NAME=FILE",
        )
    found = tuple(_teacher(entry, shared) for entry in entries)
    _refuse_twice(found)
    recipe = shared.loaded.recipe
    as_it_is = recipe.teacher.tune == "none"
    strangers = [one for one in found if as_it_is and has_other_classes(one, shared.source.classes)]
    for one in strangers:
        refuse_unheard(one, sum(len(other.members) for other in found), recipe)
    warn_of_seen(found, shared.data, shared.source, recipe.data.hidden, shared.progress)
    measured = [one for one in found if one not in strangers]
    warn_of_measured(measured, shared.data, shared.source, shared.progress)
    idle = recipe.teacher.seeds > 1 and not any(one.spec for one in found)
    if idle and shared.loaded.chosen("teacher.seeds"):
        shared.progress.say(
            f"every teacher is finished: teacher.seeds={recipe.teacher.seeds} means nothing here"
        )
    return found


def _refuse_twice(teachers: tuple[TeacherRef, ...]) -> None:
    """One that is named twice would count twice; weights are what scheme.weights is for."""
    seen: set[str] = set()
    members = [member for teacher in teachers for member in teacher.members]
    named = zip(members, _identities(members), strict=True)
    for member, identity in named if len(teachers) > 1 else ():
        if identity in seen:
            who = f"{member.model} of seed {member.spec.seed}" if member.spec else member.path
            raise UsageError(
                f"teacher {who} is named twice",
                "name each teacher once; {model: NAME, seeds: 3} in who.teachers, or --set "
                "teacher.seeds=3, trains three members of one model, from teacher.seed on",
            )
        seen.add(identity)


def _identities(members: Sequence[TeacherRef]) -> Iterator[str]:
    """Of each; a finished one may be the run of one that is named by its model, too."""
    runs = {member.spec.digest for member in members if member.spec}
    for member in members:
        made_as = _digest_in(member.path) if member.path and runs else None
        yield made_as if made_as in runs else member.identity


def _digest_in(model: str) -> str:
    """Of what a model.pt was made from, as it says itself; wherever it lies by now. "None" of one
    that does not say, which is no digest."""
    return str(load_model(Path(model)).provenance.get("digest"))


def _teacher(entry: Entry, shared: Shared) -> TeacherRef:
    said = TeacherEntry(model=entry) if isinstance(entry, str) else entry
    as_it_is = shared.loaded.recipe.teacher.tune == "none"
    if as_it_is and (whole := untuned(said.model, shared)):
        found = whole
    elif is_given(said.model):
        found = _foreign_teacher(said, shared)
    elif is_file(said.model):
        found = _given_teacher(said.model, shared)
    else:
        found = _taught_first(said, shared, None)
    own = [key for key in ("seeds", "subset") if getattr(said, key) is not None]
    refuse_unfollowable(found, shared.loaded.recipe)
    if own and found.spec is None:
        raise UsageError(
            f"teacher {said.model} is finished; {' and '.join(own)} of its entry would mean "
            "nothing: it is not trained",
            f"leave {' and '.join(own)} out, or name a model that is to be trained",
        )
    return found


def _foreign_teacher(entry: TeacherEntry, shared: Shared) -> TeacherRef:
    """Finished, where it answers the data's classes; else trained on the data from its weights."""
    source, recipe = shared.source, shared.loaded.recipe
    size = recipe.teacher.image_size or recipe.data.image_size
    given = parse(entry.model, Silent())  # said before
    found = teacher_from(
        given,
        source.classes,
        shared.data,
        sizes=_sizes_of(given, size if isinstance(size, int) else None, source),
        score=partial(share_right, source=source, device=shared.device),
        labels=shared.labels,
        progress=shared.progress,
    )
    if isinstance(found, Path):
        return _given_teacher(str(found), shared)
    return _taught_first(entry.model_copy(update={"model": given.model}), shared, found)


def shown_on(
    source: Source,
    given: Given,
    folder: Path,
    device: torch.device,
    labels: tuple[str, ...] | None,
    progress: Progress,
) -> Path | None:
    """A model.pt in `folder` of given weights as they would teach on these data; None where they
    answer another number of classes. `labels` as --classes names them."""
    return shown(
        given,
        folder,
        source.classes,
        sizes=_sizes_of(given, None, source),
        score=partial(share_right, source=source, device=device),
        labels=labels,
        progress=progress,
    )


def _sizes_of(given: Given, wanted: int | None, source: Source) -> tuple[int, ...]:
    """Pixels of a side that given weights are tried with; several where nobody says what they were
    trained for."""
    first, usual = size_of(given, wanted), source.defaults.image_size
    return (first,) if wanted or given.size or usual == first else (first, usual)


def _taught_first(entry: TeacherEntry, shared: Shared, weights: FileRef | None) -> TeacherRef:
    """A teacher that has to be trained, by the recipe that `teacher.recipe` names."""
    recipe, settings = shared.loaded.recipe, shared.loaded.recipe.teacher
    loaded = load_recipe(settings.recipe)
    refuse_taught(loaded)
    handed = {
        "student.pretrained": settings.pretrained,
        "student.stem_stride": settings.stem_stride,
        "data.image_size": recipe.data.image_size,  # images have one size in a run
        "data.crop_pct": recipe.data.crop_pct,
        "data.subset": settings.subset if entry.subset is None else entry.subset,
        "data.licence": recipe.data.licence,
        "data.hidden": recipe.data.hidden,  # from everyone who learns from labels
        "train.tune": settings.tune,  # all else is the business of its own recipe
    }
    own = started(replace(loaded, recipe=update(loaded.recipe, handed)), weights)
    spec = train_spec(entry.model, replace(shared, loaded=own), settings.seed)
    spec = spec.model_copy(update={"weights": weights})
    seeds = settings.seeds if entry.seeds is None else entry.seeds
    return TeacherRef(model=entry.model, spec=with_trail(spec, recipe), seeds=seeds)


def flags_of(job: Job) -> list[str] | None:
    """The flags of `kd distill` that mean the runs of a `kd train` of several seeds, as members of
    one ensemble; None where none do, as those have settings that only their own recipe could hold.
    """
    spec, recipe = job.spec, job.spec.recipe
    settings = {
        "teacher.seeds": (job.seeds, 1),
        "teacher.seed": (spec.seed, 0),
        "teacher.subset": (recipe.data.subset, 1),
        "data.hidden": (recipe.data.hidden, 0),
        "data.licence": (recipe.data.licence, "auto"),
        "teacher.tune": (recipe.train.tune, "all"),
        "teacher.recipe": (spec.recipe_name, "supervised"),
    }
    changed = tuple(f"{key}={_spelled(v)}" for key, (v, usual) in settings.items() if v != usual)
    if spec.weights or spec.recipe_name not in recipe_names():
        return None
    shared = Shared(load_recipe("kd", changed), job.source, spec.data, job.device)
    found = _taught_first(TeacherEntry(model=spec.model), shared, None)
    if [one.spec and one.spec.digest for one in found.members] != [s.digest for s in job.specs]:
        return None
    return ["--teacher", spec.model, *(word for one in changed for word in ("--set", one))]


def _spelled(value: Any) -> str:
    """As --set takes it."""
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _given_teacher(thing: str, shared: Shared) -> TeacherRef:
    """A finished one, by the sha256 of its file: a copy elsewhere is the same teacher."""
    named, data = locate(thing, Silent()).model, shared.source  # said before
    say_other_decoding(named, data, shared.progress)
    path = in_order(named, data.classes, data.name, shared.progress)
    args, _ = read_args(path)
    return TeacherRef(model=args.name, path=str(path.resolve()), sha256=sha256(path))


IMAGES = 128
"""Enough to tell a size that works from one that does not: a share is known to 4 points (one
standard error at worst)."""


def share_right(found: Read, *, source: Source, device: torch.device, named: bool) -> float:
    """Share of some validation images, spread evenly, that the weights get right; without names of
    their classes, under those that suit them best."""
    split, usual = source.validation.sample(IMAGES), source.defaults
    crop_pct = usual_crop_pct(found.args.name, found.args.input_size, usual, usual.augment)
    store = open_store(split, usual.image_size, Silent(), crop_pct=crop_pct)
    module = build(found.args)
    module.load_state_dict(found.fitted.state)
    tap = Tap(module, found.args, "").to(device)
    batches = plain_batches(store, num_classes=found.args.num_classes, batch_size=32, workers=0)
    logits = predict(tap, batches, device)
    if named:
        return accuracy(logits, split.labels)
    return told_apart(logits.argmax(1), split.labels, found.args.num_classes)


def with_trail(spec: Spec, recipe: Recipe) -> Spec:
    """A teacher's training, with the checkpoints that who follows its trajectory needs: they are
    part of its digest, so a finished run that has kept none is another one."""
    follows = recipe.teacher.follow == "trajectory"
    return spec.model_copy(update={"keeps": recipe.teacher.checkpoints if follows else None})


def refuse_unfollowable(teacher: TeacherRef, recipe: Recipe) -> None:
    """Raise UsageError for one that is finished, or would see other images than its student."""
    together = recipe.teacher.follow == "together"
    if together and teacher.spec and teacher.spec.recipe.data.subset != 1:
        raise UsageError(
            f"teacher.subset={teacher.spec.recipe.data.subset} ({teacher.model}): a teacher "
            "that learns together with its student learns from the student's batches",
            "leave it out, or --set data.subset=... for both",
        )
    if teacher.spec is None and recipe.teacher.follow != "finished":
        raise UsageError(
            f"teacher {teacher.path} is finished; teacher.follow={recipe.teacher.follow} follows "
            "one while it learns",
            "name a model that is to be trained (--teacher resnet101), or leave teacher.follow out",
        )


def refuse_assistants(assistants: Sequence[Any], recipe: Recipe) -> None:
    """Raise UsageError for one that would have to learn, be taught and teach at every step."""
    if assistants and recipe.teacher.follow == "together":
        raise UsageError(
            "an assistant is trained before its student; with teacher.follow=together nobody is",
            "leave --assistant out, or --set teacher.follow=trajectory",
        )
