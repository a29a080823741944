"""Train one model, or find it trained: a chain of runs is a list of specs handed to `ensure`."""

import json
import os
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from kdcli import catalog
from kdcli.checkpoint import ModelFile, save_model
from kdcli.commands.loading import load
from kdcli.commands.plan import model_name, open_data, train_spec
from kdcli.data.loader import open_store, plain_batches, steps_per_epoch, training_batches
from kdcli.data.source import Source
from kdcli.distiller import Distiller, Term
from kdcli.errors import DamagedFile, UnfitTeacher, UsageError
from kdcli.metrics import accuracy, balanced_accuracy, nll, too_weak
from kdcli.models.build import build, plan, seeded
from kdcli.models.tap import Tap, predict
from kdcli.models.teachers import Frozen
from kdcli.models.weights import ensure_reachable
from kdcli.progress import Progress
from kdcli.recipe import dump, weight_at
from kdcli.recipe_file import load_recipe
from kdcli.records import About, Batch, Teacher
from kdcli.runs import (
    Run,
    Spec,
    TeacherRef,
    begin,
    find,
    lock,
    mark_asked,
    runs_root,
    sha256,
    versions,
    write_text,
)
from kdcli.training import finish, fit, open_device


@dataclass(frozen=True)
class Trained:
    """A finished run."""

    run: Run
    reused: bool
    """It was finished before; nothing was trained."""

    @property
    def outcome(self) -> dict[str, Any]:
        return self.run.outcome()


def train(
    model: str,
    *,
    recipe: str = "supervised",
    settings: tuple[str, ...] = (),
    data: str | None = None,
    out: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    again: bool = False,
    progress: Progress,
) -> Trained:
    """`kd train`: one model from labels alone."""
    loaded = load_recipe(recipe, settings)
    if loaded.recipe.scheme.name != "alone":
        raise UsageError(
            f"recipe {loaded.name} needs a teacher (scheme {loaded.recipe.scheme.name})",
            "kd distill --teacher ... --student ...; kd train takes recipes of scheme alone",
        )
    place = open_device(device)
    source, ref = open_data(data, progress)
    spec = train_spec(model_name(model, progress), loaded, source, ref, seed, place)
    return ensure(spec, source, place, progress, out=out, again=again, asked=True)


def ensure(
    spec: Spec,
    source: Source,
    device: torch.device,
    progress: Progress,
    *,
    out: Path | None = None,
    again: bool = False,
    asked: bool = False,
) -> Trained:
    """The run that `spec` describes, finished: found, resumed, or trained; its teachers first.

    `out` is its folder in place of one under `runs/`; `again` starts it afresh.
    """
    teachers = [teacher_file(ref, source, device, progress) for ref in spec.teachers]
    run = Run(out) if out else find(spec) or Run(runs_root() / spec.folder_name)
    _refuse_other(run, spec)
    with lock(run.path):
        if again:
            _clear(run)
        if run.finished:
            run.state.unlink(missing_ok=True)
            if asked:
                mark_asked(run)
            progress.say(f"{run.path}: finished earlier, nothing to train")
            return Trained(run, reused=True)
        if not (run.path / "run.yaml").exists():
            begin(run.path, spec, asked, versions())
        _train(run, spec, source, teachers, device, progress)
    return Trained(run, reused=False)


def teacher_file(ref: TeacherRef, source: Source, device: torch.device, progress: Progress) -> Path:
    """The teacher's model.pt; trained first where there is none."""
    if ref.spec is not None:
        return ensure(ref.spec, source, device, progress).run.model
    path = Path(ref.path or "")
    if not path.is_file() or sha256(path) != ref.sha256:
        raise DamagedFile(
            f"teacher {path}: gone, or no longer the file that the run was made with",
            "bring it back, or distill again from the new one",
        )
    return path


def _refuse_other(run: Run, spec: Spec) -> None:
    """A folder that holds something else is left alone."""
    if (run.path / "run.yaml").exists():
        if run.file().digest != spec.digest:
            raise UsageError(
                f"{run.path}: holds another run ({run.spec.folder_name})",
                "give --out another folder, or remove this one",
            )
    elif run.path.exists() and (not run.path.is_dir() or any(run.path.iterdir())):
        raise UsageError(
            f"{run.path}: exists and is no run folder", "give --out a new or empty folder"
        )


def _clear(run: Run) -> None:
    for entry in run.path.iterdir():
        if entry.name == ".lock":
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _train(
    run: Run,
    spec: Spec,
    source: Source,
    teachers: list[Path],
    device: torch.device,
    progress: Progress,
) -> None:
    recipe, classes = spec.recipe, len(source.classes)
    size, batch_size = int(recipe.data.image_size), int(recipe.train.batch_size)
    args = plan(spec.model, classes, size, recipe.student.stem_stride)
    if args.input_size != size:
        progress.say(
            f"{spec.model} does not take {size} pixels: images are resized to its own "
            f"{args.input_size}"
        )
    if recipe.student.pretrained:
        ensure_reachable(spec.model)
    with seeded(spec.seed, "student"):
        module = build(args, pretrained=bool(recipe.student.pretrained))
    student = Tap(module, args, "student", recipe.student.precision).to(device)
    training = open_store(source.train, size, progress)
    validation = open_store(source.validation, size, progress)
    val_batches = partial(plain_batches, validation, num_classes=classes)
    taught_by = {
        f"teacher.{i}": _open_teacher(path, ref, spec, val_batches, source, device, progress)
        for i, (path, ref) in enumerate(zip(teachers, spec.teachers, strict=True))
    }
    batches = partial(
        training_batches,
        training,
        num_classes=classes,
        batch_size=batch_size,
        seed=spec.seed,
        augment=recipe.data.augment,
        label_smoothing=recipe.task.label_smoothing,
        epochs=int(recipe.train.epochs),
    )
    steps = steps_per_epoch(len(training), batch_size)
    with seeded(spec.seed, "distiller"):
        example = next(iter(batches(epoch=0))).to(device)
        distiller = _distiller(spec, student, taught_by, example, len(training), steps)
    for line in distiller.skipped:
        progress.warn(line)
    _write_needs(run, teachers)
    if source.carved:
        write_text(run.path / "split.json", json.dumps(source.carved, ensure_ascii=False, indent=1))

    def validate() -> tuple[float, float]:
        logits = predict(student, val_batches(), device)
        return accuracy(logits, validation.labels), nll(logits, validation.labels)

    weights, ended = fit(
        distiller,
        recipe.train,
        batches=lambda epoch: batches(epoch=epoch),
        steps_per_epoch=steps,
        validate=validate,
        seed=spec.seed,
        run=run,
        label=f"{spec.role} {spec.model}",
        progress=progress,
    )
    finish(run, ended)
    # the tap's keys are its module's own behind `module.`
    state = {k.removeprefix("module."): v for k, v in weights.items()}
    provenance = {
        "role": spec.role,
        "teachers": [t.model for t in spec.teachers],
        "data": spec.data.name,
        "seed": spec.seed,
        "digest": spec.digest,
        "versions": versions(),
        "epochs": ended.epochs,
        "val_accuracy": ended.val_accuracy,
    }
    file = ModelFile(args.as_dict(), state, source.classes, dump(recipe), provenance)
    save_model(file, run.model)
    run.state.unlink(missing_ok=True)


def _distiller(
    spec: Spec,
    student: Tap,
    teachers: dict[str, Frozen],
    example: Batch,
    samples: int,
    steps: int,
) -> Distiller:
    recipe, epochs = spec.recipe, int(spec.recipe.train.epochs)
    terms = tuple(
        Term(
            name,
            catalog.load("methods", use.use or name)(**use.options),
            partial(weight_at, use.weight, epochs=epochs),
        )
        for name, use in recipe.methods.items()
    )
    modules: list[Any] = [t.tap.module for t in teachers.values()]
    classifier = modules[0].get_classifier() if modules else None
    taught_by: dict[str, Teacher] = dict(teachers)
    return Distiller(
        scheme=catalog.load("schemes", recipe.scheme.name)(**recipe.scheme.options),
        learners={"student": student},
        teachers=taught_by,
        terms=terms,
        task_weight=partial(weight_at, recipe.task.weight, epochs=epochs),
        example=example,
        about=About(example.targets.shape[1], samples, steps, classifier),
    )


def _open_teacher(
    path: Path,
    ref: TeacherRef,
    spec: Spec,
    val_batches: Any,
    source: Source,
    device: torch.device,
    progress: Progress,
) -> Frozen:
    """A finished teacher, measured before it teaches.

    Raises:
        UnfitTeacher: it was given, and is hardly better than chance.
    """
    loaded = load(path)
    tap = Tap(loaded.module, loaded.args, "teacher", spec.recipe.teacher.precision).to(device)
    logits = predict(tap, val_batches(), device)
    labels = source.validation.labels
    share, interval = balanced_accuracy(logits.argmax(1), labels, len(source.classes))
    words = (
        f"teacher {path}: balanced validation accuracy {share:.3f} "
        f"(95% CI {interval.low:.3f} to {interval.high:.3f})"
    )
    if too_weak(interval, len(source.classes)):
        words += f", hardly better than chance ({1 / len(source.classes):.3f})"
        if ref.spec is None and not spec.recipe.teacher.allow_weak:
            raise UnfitTeacher(
                words, "give a better teacher, or go on with --set teacher.allow_weak=true"
            )
        progress.warn(f"{words}: a student has little to learn from it")
    else:
        progress.say(words)
    return Frozen(tap)


def _write_needs(run: Run, teachers: list[Path]) -> None:
    """What this run depends on, by paths relative to it."""
    needs = {
        f"teacher.{i}": {"path": os.path.relpath(path, run.path), "sha256": sha256(path)}
        for i, path in enumerate(teachers)
    }
    if needs:
        write_text(run.path / "needs.json", json.dumps(needs, indent=1))
