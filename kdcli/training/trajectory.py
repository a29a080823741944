"""Teachers that are followed while they learn: built, or found among a run's checkpoints."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn

from kdcli.core.errors import DamagedFile, NotFinite
from kdcli.core.records import Batch, Teacher
from kdcli.evaluation.standing import standing_at
from kdcli.models.checkpoint import Weights, read_weights, save_weights
from kdcli.models.tap import Tap
from kdcli.models.teachers import Live, Together, Trajectory
from kdcli.recipe.teacher import Checkpoints
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec, TeacherRef
from kdcli.training.distiller import Distiller
from kdcli.training.learner import build_learner
from kdcli.training.site import Site
from kdcli.training.stepper import Stepper

Alone = Callable[[Spec, Tap], Distiller]
"""The distiller in which this model alone learns, as its spec says; of a teacher, from labels."""


def learning_teachers(
    spec: Spec, site: Site, steps_per_epoch: int, alone: Alone, rehearsal: bool
) -> dict[str, Stepper]:
    """Those of `spec.alongside`: each learns as its own recipe says, for as long as the student.

    Its weights begin as they would in a training of its own (`Spec.start`, its own seed).
    """
    found: dict[str, Stepper] = {}
    for i, (name, ref) in enumerate(spec.alongside.items()):
        assert ref.spec is not None  # finished ones are refused when they are named
        own = _as_long(ref.spec, spec)
        tap = build_learner(own, site, rehearsal, by=f"teacher.{i}")
        found[name] = Stepper(alone(own, tap), own.recipe.train, steps_per_epoch)
    return found


def _as_long(teacher: Spec, student: Spec) -> Spec:
    """The teacher's training in the student's epochs, all parts of a batch at once: its schedule
    has to end with the student's, and it takes one step for each of the student's."""
    changes = {"epochs": student.recipe.train.epochs, "accumulate": 1}
    train = teacher.recipe.train.model_copy(update=changes)
    recipe = teacher.recipe.model_copy(update={"train": train})
    return teacher.model_copy(update={"recipe": recipe})


def followed(
    spec: Spec,
    teachers: Mapping[str, Teacher],
    paths: Sequence[Path | None],
    alongside: Mapping[str, Stepper],
    total: int,
) -> dict[str, Teacher]:
    """Everyone who teaches, as `teacher.follow` says, in a training of `total` steps.

    `teachers` are those that are finished, `paths` their model.pt files (None: an untrained one of
    a rehearsal, which is asked as it is).

    Raises:
        DamagedFile: checkpoints of a trajectory are gone.
    """
    if spec.alongside:
        pairs = zip(spec.alongside.values(), alongside.values(), strict=True)
        return {
            f"teacher.{i}": _together(ref, stepper, total) for i, (ref, stepper) in enumerate(pairs)
        }
    if spec.recipe.teacher.follow == "finished":
        return dict(teachers)
    clock = spec.recipe.teacher.checkpoints.clock
    return {
        name: Trajectory(one.tap, _kept(Run(path.parent)), partial(_read, path), total, clock)
        if path and isinstance(one, Live)
        else one
        for (name, one), path in zip(teachers.items(), paths, strict=True)
    }


def _together(ref: TeacherRef, stepper: Stepper, total: int) -> Together:
    seed = ref.spec.seed if ref.spec else 0

    def learn(batch: Batch) -> None:
        stepper.model.train()
        try:
            with torch.random.fork_rng():  # the student draws what it would draw without it
                stepper.step(batch, seed, round(batch.progress * total))
        except NotFinite as error:
            raise NotFinite(
                f"teacher {ref.model}: {error.what}", "lower train.lr in its own teacher.recipe"
            ) from error

    tap = stepper.ships["student"]  # the moving average, where its recipe wants one
    assert isinstance(tap, Tap)
    return Together(tap, learn)


def _read(model: Path, step: int) -> Weights:
    weights: Weights = read_weights(Run(model.parent).step(step))
    return weights


def _kept(run: Run) -> tuple[int, ...]:
    """After which steps a finished teacher's weights lie there: all that its training has kept."""
    found, spec = run.steps(), run.spec
    # a training may have ended early, by patience: the log says how many steps an epoch had and
    # which was the last, and so which checkpoints there should be
    last = max((line.get("step", 0) for line in run.lines()), default=0)
    epochs = int(run.outcome().get("epochs", 0)) or 1
    total = last // epochs * int(spec.recipe.train.epochs)
    wanted = spec.keeps.steps(total) if spec.keeps else ()
    expected = {*(step for step in wanted if step <= last), last}
    if not expected <= set(found):
        raise DamagedFile(
            f"{run.path}: checkpoints of its trajectory are gone ({len(found)} of "
            f"{len(expected)} are there)",
            f"remove {run.path}, and repeat the command: the teacher is trained again",
        )
    return tuple(sorted(expected))


def warn_of_weak(run: Run, site: Site) -> None:
    """Of teachers that learnt with their student: nobody has measured them before. As they were
    after the epoch that ships."""
    labels = site.source.validation.labels
    for name, recall in run.taught_at_best("balanced_accuracy").items():
        found = standing_at(name, recall, labels, site.classes)
        if found.weak:
            site.progress.warn(found.warning)


Whole = Callable[[Weights], Weights]


class Trail:
    """Writes `step.N.safetensors` into a run's folder: of what would ship, after step N.

    A training that is resumed writes some of them again, with the same bytes.
    """

    def __init__(self, run: Run, kept: Checkpoints, total: int, whole: Whole) -> None:
        """`total` steps at most; `whole` gives the weights that are kept timm's own keys."""
        self._run, self._kept, self._whole = run, kept, whole
        self._steps = frozenset(kept.steps(total))

    def after(self, step: int, model: nn.Module) -> None:
        """Keep the weights, if it is one of those steps; from 1 on."""
        if step in self._steps:
            self._write(step, model)

    def last(self, step: int, model: nn.Module) -> None:
        """Keep those of the last step, whenever it came."""
        if step not in self._steps:
            self._write(step, model)

    def _write(self, step: int, model: nn.Module) -> None:
        half = self._kept.precision == "fp16"
        save_weights(self._whole(model.state_dict()), self._run.step(step), half=half)
