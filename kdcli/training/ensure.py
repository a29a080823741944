"""The run that a spec describes: found, resumed or trained, its teachers first.

Every chain (teachers, assistants, generations, baseline, further seeds) is a list of specs handed
to `ensure`. So a chain that was killed goes on when the command is repeated, and a changed weight
of a method retrains neither teacher nor baseline.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcli.core.errors import UsageError
from kdcli.core.files import probe
from kdcli.core.host_lock import LOCKS
from kdcli.core.lock import lock
from kdcli.core.progress import Progress
from kdcli.core.text import counted
from kdcli.core.unfinished import is_leftover
from kdcli.models.torch_file import refuse_damaged
from kdcli.models.weights import ensure_reachable
from kdcli.runs.differences import told
from kdcli.runs.find import find, runs_root
from kdcli.runs.layout import is_ours
from kdcli.runs.log import run_log
from kdcli.runs.needs import refuse_changed
from kdcli.runs.run import Run, begin, note
from kdcli.runs.spec import Spec, TeacherRef
from kdcli.runs.versions import versions
from kdcli.training.answers.decide import Way, decide, finished_teachers
from kdcli.training.build import Assembled, assemble
from kdcli.training.loop import finish
from kdcli.training.near_chance import warn_of_chance
from kdcli.training.resume import recover
from kdcli.training.save import save_models, write_needs, write_split
from kdcli.training.share import Shared, carry_out, shared
from kdcli.training.site import Site
from kdcli.training.teachers import TOLD, measure_given
from kdcli.training.threads import threads_of, using
from kdcli.training.trajectory import Trail, Whole, warn_of_weak


def trail_of(run: Run, spec: Spec, steps_per_epoch: int, whole: Whole) -> Trail | None:
    """What writes the checkpoints of a trajectory; None where nobody follows this training."""
    total = steps_per_epoch * int(spec.recipe.train.epochs)
    return Trail(run, spec.keeps, total, whole) if spec.keeps else None


def lacking(spec: Spec) -> str:
    """What is not there yet, and is trained now."""
    whose = f"{spec.title} {spec.model} on {spec.data.name}"
    if not spec.keeps:
        return f"no finished {whose} yet: training one"
    # the same teacher without checkpoints may be there, finished: of no use, and so it is said
    plain = find(spec.model_copy(update={"keeps": None}))
    again = " again (the finished one has kept none)" if plain and plain.finished else ""
    return (
        f"no trajectory of {whose} yet: training it{again}, with {spec.keeps.count} checkpoints "
        "or one per step"
    )


@dataclass(frozen=True)
class Trained:
    """A finished run."""

    run: Run
    reused: bool
    """It was finished before; nothing was trained."""

    @property
    def outcome(self) -> dict[str, Any]:
        return self.run.outcome()

    @property
    def others(self) -> dict[str, str]:
        """The files of those that lie beside the model that ships, by role."""
        return {role: str(file) for role, file in self.run.others().items()}

    @property
    def shipped(self) -> str:
        """Which of its networks is model.pt, in words; empty where it is plainly the student."""
        ships = self.run.ships
        if self.run.candidates > 1:
            return f"{ships}, the best of {self.run.candidates} networks on validation"
        count = 1 + len(self.run.spec.peers)
        return f"{ships}, {count} networks as one model" if ships == "fused" else ""


def ensure(
    spec: Spec,
    site: Site,
    *,
    out: Path | None = None,
    again: bool = False,
    asked: bool = False,
    why: str = "",
) -> Trained:
    """The run that `spec` describes, finished: found, resumed, or trained; its teachers first.

    `out` is its folder in place of one under `runs/`; `again` starts it afresh; `asked`: a
    person wants this very run, and it is no other's teacher; `why` is said when it is its turn.

    Raises:
        DiskError: the folder cannot be made or written to.
        InUse: another kd works in it.
        UsageError: it holds something else.
        KdError: what `assemble` refuses, and what may end a training (`loop.fit`).
    """
    run = run_of(spec, out, again)
    if run.finished and not again:
        with lock(run.path):
            if run.finished:
                return _reuse(run, spec, asked, site.progress)
    reach_weights(spec)  # before a teacher is trained for nothing
    probe(run.path)  # a full or read-only disk is told now, not after an epoch of a teacher
    teachers = teacher_files(spec, site)
    if why:
        site.progress.say(why)
    with lock(run.path):
        _refuse_other(run, spec, again)  # another kd may have been faster
        if run.finished and not again:
            return _reuse(run, spec, asked, site.progress)
        if not again:
            recover(run, site.progress)
        threads = threads_of(run, spec, site.threads, again, site.progress)
        with using(threads):
            # refused here, before anything of an earlier run is lost
            begun = bool(run.answers) if run.state.is_file() and not again else None
            way = decide(spec, site, teachers, begun)
            with shared(Shared(spec, site.source, site.students, teachers, way, run, threads)):
                parts = assemble(spec, site, teachers, way=way)
                _begin(run, site.placed(spec), asked, again, threads, way)
                with run_log(run, str(site.device), site.progress):
                    _train(run, spec, site, teachers, parts)
    return Trained(run, reused=False)


def run_of(spec: Spec, out: Path | None = None, again: bool = False) -> Run:
    """The folder that this training has or will have.

    Raises:
        UsageError: it holds something else.
    """
    run = Run(out) if out else find(spec) or Run(runs_root() / spec.folder_name)
    _refuse_other(run, spec, again)
    return run


def reach_weights(spec: Spec) -> None:
    """Return if what the model begins with can be had now, and whoever learns beside it.

    Raises:
        DamagedFile: a given file of weights is gone, or another one.
        WeightsUnavailable: pretrained weights cannot be fetched.
    """
    if spec.weights:
        refuse_changed([spec.weights])
    elif spec.recipe.student.pretrained:
        ensure_reachable(spec.model)
    for peer in spec.peers:
        if spec.recipe.student.pretrained and not (spec.weights and peer == spec.model):
            ensure_reachable(peer)
    for teacher in spec.alongside.values():
        if teacher.spec:
            reach_weights(teacher.spec)


def _reuse(run: Run, spec: Spec, asked: bool, progress: Progress) -> Trained:
    if asked:
        for model in (run.model, *run.others().values()):  # what is learnt from is read anyway
            refuse_damaged(model, "repeat the command with --again: it is trained anew")
        # the same images without labels may lie elsewhere by now
        note(run, asked=True, spec=run.spec.model_copy(update={"unlabelled": spec.unlabelled}))
    run.clear_state()  # left behind by a kill between model.pt and its removal
    progress.say(f"{run.path}: finished earlier, nothing to train")
    warn_of_versions(run, progress)
    return Trained(run, reused=True)


def warn_of_versions(run: Run, progress: Progress) -> None:
    """Say so where a run was made by another torch or timm than this one.

    They may compute other weights from the same spec, but are no part of its digest: an upgrade
    must not throw away every finished run.
    """
    was, now = run.file().versions, versions()
    changed = [
        f"{k} {was.get(k)} (now {now[k]})" for k in ("torch", "timm") if was.get(k) != now[k]
    ]
    if changed:
        progress.warn(f"{run.path}: made with {' and '.join(changed)}; --again makes it anew")


def teacher_files(spec: Spec, site: Site) -> list[Path | None]:
    """The model.pt of each of `spec.members`; those that are missing are trained first.

    None for each that learns together with the student.

    Raises DamagedFile or UnfitTeacher, before that, for a given one that cannot teach.
    """
    if spec.alongside:
        return [None] * len(spec.alongside)
    members, given = spec.members, [ref for ref in spec.teachers if ref.path]
    done = finished_teachers(spec)
    finished = sum(path is not None for path in done)
    if given and finished < len(members):  # refused now, or when the others have been trained
        refuse_changed(given)
        measure_given(spec, site.silent())
    if len(members) <= TOLD:
        return [teacher_file(ref, site, spec.recipe_name) for ref in members]
    site.progress.say(f"{finished} of {len(members)} teachers are finished")
    known = zip(done, members, strict=True)
    return [path if path and ref.spec else teacher_file(ref, site) for path, ref in known]


def teacher_file(ref: TeacherRef, site: Site, pupils: str = "") -> Path:
    """One teacher's model.pt; trained first where there is none. `pupils` is its pupil's recipe."""
    if ref.spec is None:
        refuse_changed([ref])
        return Path(ref.path or "")
    known, why = find(ref.spec), ""
    if known is None or not known.finished:
        alone = not ref.spec.teachers and ref.spec.recipe_name == pupils  # generation 0
        how = "from labels" if alone else f"recipe {ref.spec.recipe_name}"
        seed = f", seed {ref.spec.seed}" if ref.spec.seed else ""
        epochs = counted(int(ref.spec.recipe.train.epochs), "epoch")
        why = f"{lacking(ref.spec)} ({how}, {epochs}{seed})"
    return ensure(ref.spec, site, why=why).run.model


def _refuse_other(run: Run, spec: Spec, again: bool) -> None:
    """A folder that holds something else is left alone; a damaged run may be made again."""
    if (run.path / "run.yaml").exists():
        if again and run.digest is None:
            return
        if run.file().digest != spec.digest:
            raise UsageError(
                f"{run.path}: holds another run ({run.spec.folder_name}){told(run.spec, spec)}",
                "give --out another folder, or remove this one",
            )
    elif run.path.exists() and not (run.path.is_dir() and _only_leavings(run.path)):
        raise UsageError(
            f"{run.path}: exists and is no run folder", "give --out a new or empty folder"
        )


def _only_leavings(folder: Path) -> bool:
    """Nothing but what a start that was killed leaves behind."""
    return all(e.name in LOCKS or is_leftover(e.name) for e in folder.iterdir())


def _clear(run: Run) -> None:
    """Remove what kd wrote, but for run.yaml: killed on the way, it is a run that is begun. A
    person's own files stay."""
    run.model.unlink(missing_ok=True)
    run.clear_state()  # before the log, without which a training cannot go on
    for entry in list(run.path.iterdir()) if run.path.is_dir() else ():
        if is_ours(entry.name) and entry.name != "run.yaml":
            entry.unlink()
    run.clear_exports()


def _begin(run: Run, spec: Spec, asked: bool, again: bool, threads: int, way: Way) -> None:
    """A folder with a run.yaml; emptied of what kd wrote, where it starts afresh.

    Called when all that could be refused has been: until then nothing of an earlier run is lost.
    """
    if again:
        _clear(run)
    if again or not (run.path / "run.yaml").exists():
        begin(run.path, spec, asked, versions(), threads, way.names)
        return
    note(run, threads=threads, answers=way.names, **({"asked": True} if asked else {}))


def _train(run: Run, spec: Spec, site: Site, teachers: list[Path | None], parts: Assembled) -> None:
    """Train, or go on where state.pt says; model.pt appears last, for that it is there says that
    the run is finished. A kill before it leaves all that is needed to go on."""
    write_needs(run, teachers)
    write_split(run, site.source.carved)
    trail = trail_of(run, spec, parts.steps_per_epoch, parts.whole)
    weights, ended = carry_out(run, spec, site, parts, trail)
    finish(run, ended)
    warn_of_weak(run, site)
    warn_of_chance(run, site)
    save_models(run, spec, site.source, parts, weights, ended)
    run.clear_state()
