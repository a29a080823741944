"""`kd evaluate`: student against an equal-size baseline and any teacher, on the test images."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from kdcli.commands.release import compared_with, open_release
from kdcli.core.class_order import OF_RUN, refuse_other_order
from kdcli.core.errors import DamagedFile, DataError, UsageError
from kdcli.core.files import probe, sha256
from kdcli.core.lock import lock
from kdcli.core.progress import Progress
from kdcli.core.text import counted, some
from kdcli.data.open import location
from kdcli.data.reopen import refuse_gone, reopen_data
from kdcli.data.source import Split
from kdcli.data.store import Store, plain_store
from kdcli.deploy.find_contenders import find_given
from kdcli.evaluation.answers import ask
from kdcli.evaluation.attention_maps import with_maps
from kdcli.evaluation.comparison import compare
from kdcli.evaluation.generations import ensemble_of, measure_between, notes_on_generations
from kdcli.evaluation.labels_seen import notes_on_labels
from kdcli.evaluation.measure import Measured, beside, data_part, measure, unmeasured
from kdcli.evaluation.metrics import accuracy
from kdcli.evaluation.page_facts.write import try_to_write_page
from kdcli.evaluation.participants import (
    SHOWN,
    Cast,
    cast_of,
    chain_of,
    changed,
    given_files,
    notes_on_changed,
    with_given_files,
)
from kdcli.evaluation.peers import measure_beside, measure_peers, notes_on_exits, notes_on_peers
from kdcli.evaluation.predictions import keep_predictions, tested
from kdcli.evaluation.teacher_ensemble import MeasuredEnsemble, Validate, measure_ensemble
from kdcli.models.checkpoint import load_model
from kdcli.models.loading import answers
from kdcli.plan.forecast import foresee_all
from kdcli.plan.missing import missing
from kdcli.recipe.load import scheme_of
from kdcli.report.file import WAIT_SECONDS, put_evaluation, read_report, write_report
from kdcli.report.gates import Checked, check_gates, for_classes, parse_gates
from kdcli.report.model import ModelPart
from kdcli.report.schema import Report, imitated
from kdcli.report.verdict import notes, notes_on_classes, sentence
from kdcli.runs.baseline import controls_of
from kdcli.runs.find import runs_root
from kdcli.runs.locate import locate
from kdcli.runs.needs import refuse_changed
from kdcli.runs.run import Need, Run
from kdcli.runs.spec import Spec, TeacherRef
from kdcli.training.devices import open_device
from kdcli.training.ensure import ensure, teacher_file
from kdcli.training.licences import licences_of
from kdcli.training.site import Site


@dataclass(frozen=True)
class Evaluated:
    """The report as written, and the gates held against it."""

    run: Run
    report: Report
    gates: list[Checked]


def evaluate(
    thing: str | None,
    *,
    seeds: int = 1,
    minima: Sequence[str] | None = None,
    maxima: Sequence[str] | None = None,
    drops: Sequence[str] | None = None,
    ratios: Sequence[str] | None = None,
    against: str | None = None,
    data: str | None = None,
    no_train: bool = False,
    device: str = "auto",
    progress: Progress,
) -> Evaluated:
    """Measure a finished run on test; what is missing for that (further seeds, baselines, teachers
    that are gone) is told, with how long it takes, and trained.

    `data` is where the run's lie now, `no_train` refuses to train, `against` is a release that the
    student is compared with on the same test images.

    Raises:
        DataError: something is missing, and nothing is to be trained; or data that are gone, or
            others.
        DamagedFile: report.json is not kd's, among others: before the work.
    """
    gates = parse_gates(minima, maxima, drops, ratios, release=against)
    place = open_device(device)
    run = _find_run(thing, progress)
    given = find_given(against, progress) if against else None
    probe(run.path)
    _known(run)
    refuse_gone(run.spec.data, data)
    lacking = missing(run, seeds)
    if lacking and no_train:
        _refuse_to_train(run, lacking)
    if lacking:  # they lie there, wherever the run does
        probe(runs_root())
    with progress.log(run.log) as write:
        unlabelled = next((one.unlabelled for one in lacking if one.unlabelled), None)
        source = reopen_data(run.spec.data, progress, data, unlabelled)
        refuse_other_order(load_model(run.model).classes, source.classes, str(run.path), OF_RUN)
        gates = for_classes(gates, source.classes)
        release = open_release(given, run.spec, source.test, source.classes)
        site = Site(source, place, progress, moved=location(data) if data else None)
        if lacking:
            forecast = foresee_all(lacking, source, place, progress)
            for line in forecast.lines():
                progress.say(line)
            students = sum(one.role == run.spec.role for one in lacking)
            site = replace(site, threads=forecast.threads_of, students=max(1, students))
        report = _measured(run, seeds, site)
        report, before = compared_with(release, run, report, site)
        write(report.verdict or "")
        try_to_write_page(run.path / "report.json", report, progress, source)
    return Evaluated(run, report, check_gates(gates, report, before))


def _find_run(thing: str | None, progress: Progress) -> Run:
    located = locate(thing, progress)
    if located.run is None:
        raise UsageError(
            f"{located.model}: a model.pt without its run folder; a comparison needs the run",
            "give the run folder, or --test DATA: labelled images that it is asked about",
        )
    return located.run


def _refuse_to_train(run: Run, lacking: Sequence[Spec]) -> None:
    names = some((f"{one.title} {one.model} (seed {one.seed})" for one in lacking), SHOWN)
    raise DataError(
        f"--no-train: {run.path} lacks {counted(len(lacking), 'training')} to be compared with: "
        f"{names}",
        "without --no-train kd evaluate says how long they take, and trains them; or bring their "
        "run folders back",
    )


def _known(run: Run) -> Report | None:
    """The report so far: what will be merged into is read before the work."""
    return read_report(run.path / "report.json", sha256(run.model))


def _measured(run: Run, seeds: int, site: Site) -> Report:
    """Everyone measured, and written down; the folder is locked for the writing alone."""
    source, place = site.source, site.device
    test = _images(source.test, run, site)
    students = _students(run, seeds, site)
    models = {"student": measure([s.model for s in students], test, place)}
    ensemble, unheard = None, dict[str, ModelPart]()
    for role in controls_of(run.spec):
        models[role] = measure([_control(role, s, site) for s in students], test, place)
    if run.spec.teachers:
        taught_by, ensemble, unheard = _taught_by(students, models["student"], test, site)
        models |= taught_by
    learnt_along = (name.replace(".", "_") for name in run.spec.alongside)
    models |= measure_beside(students, {*models, *learnt_along}, test, place)
    models |= measure_peers(students, models, source, test)
    if above := imitated(models):
        models = {role: beside(found, models[above]) for role, found in models.items()}
    models = with_maps(models, students, test, place, site.progress)
    remarks = [*notes_on_changed(run), *notes_on_peers(students), *notes_on_generations(students)]
    remarks += notes_on_labels(run, source, site.progress)  # it may read a teacher's images
    with lock(run.path, wait=WAIT_SECONDS):
        keep_predictions(
            run.path, tested(source.test), {role: found.logits for role, found in models.items()}
        )
        return _report(run, site, test, models, unheard, ensemble, remarks)


def _taught_by(
    students: list[Run], student: Measured, test: Store, site: Site
) -> tuple[dict[str, Measured], MeasuredEnsemble | None, dict[str, ModelPart]]:
    """Those between, and the teacher; of several teachers their ensemble and the best of them. The
    last are teachers of other classes, which nothing is compared with."""
    run, look_up, place = students[0], partial(find_cast, site=site), site.device
    cast = look_up(run)
    models = measure_between(students, cast, look_up, test, place)
    if not answers(first := cast.teachers[0].file, site.source.classes):
        return models, None, {"teacher": unmeasured(first)}
    if not cast.is_ensemble:
        casts = [cast, *(map(look_up, students[1:] if run.spec.alongside else ()))]
        models["teacher"] = measure([one.teachers[0].file for one in casts], test, place)
        everyone = {**models, "student": student}
        all_alike = ensemble_of(run.spec, cast, everyone, test.labels, site.source.classes)
        return models | all_alike, None, {}
    validate = _validate(run, site)
    ensemble = measure_ensemble(cast, student.logits, test, validate, place, site.progress)
    return models | {"teacher": ensemble.single, "ensemble": ensemble.whole}, ensemble, {}


def find_cast(run: Run, site: Site) -> Cast:
    """The cast of a run; a teacher that kd can train is trained where its file is gone.

    Warns of files that are not those that the run was made with.

    Raises:
        DamagedFile: given teachers that are gone, or are other files by now.
    """
    given = given_files(run)
    everyone = [ref for spec in chain_of(run.spec) for ref in spec.members]
    refuse_changed(ref for ref in everyone if ref.path and ref.sha256 not in given)

    def place(ref: TeacherRef, need: Need | None) -> Path:
        if ref.path:
            return given[ref.sha256]
        if need and need.path.is_file():
            return need.path
        if run.spec.alongside:
            raise DamagedFile(
                f"{run.path}: the teacher that learnt with its student is gone",
                "repeat the command that made the run with --again",
            )
        return teacher_file(ref, site)

    cast = cast_of(run, place)
    if others := [os.path.normpath(file) for file in changed(cast)]:
        site.progress.warn(f"{some(others, SHOWN)}: not the bytes that {run.path} was made with")
    return cast


def _images(split: Split, run: Run, site: Site) -> Store:
    return plain_store(split, run.spec.recipe, site.progress)


def _validate(run: Run, site: Site) -> Validate:
    """For teachers of which nobody has written down how they do on validation."""
    store = cache(partial(_images, site.source.validation, run, site))
    return lambda file: accuracy(ask(file, store(), site.device).logits, store().labels)


def _students(run: Run, seeds: int, site: Site) -> list[Run]:
    """The run itself and those of the further seeds, trained where missing."""
    _, *further = with_given_files(run).alike(seeds)
    return [run, *(ensure(s, site).run for s in further)]


def _control(role: str, student: Run, site: Site) -> Path:
    spec, name = controls_of(student.spec)[role], role.replace("_", "-")
    return ensure(spec, site, why=f"no {name} yet for seed {spec.seed}: training it").run.model


def _report(
    run: Run,
    site: Site,
    test: Store,
    measured: dict[str, Measured],
    unheard: dict[str, ModelPart],
    ensemble: MeasuredEnsemble | None,
    remarks: list[str],
) -> Report:
    source, settings = site.source, run.spec.recipe.evaluate
    data = data_part(source, test)
    parts = {role: found.part for role, found in measured.items()} | unheard
    comparison, said = None, list[str]()
    verdict = f"{parts['student'].name} was measured alone: no teacher, nothing to compare."
    if "baseline" in measured:
        comparison = compare(measured, ensemble, test.labels, source.classes, settings)
        said = [*notes(comparison, parts), *remarks, *notes_on_exits(run, parts)]
        verdict = sentence(
            comparison,
            run=shlex.join([str(run.path), *(("--data", site.moved) if site.moved else ())]),
            test_images=len(test),
            margin=settings.margin,
            scheme=_own_scheme(run),
        )
    place, digest = run.path / "report.json", sha256(run.model)
    report = _known(run) or Report(run=run.path.name, model_sha256=digest, role=run.spec.role)
    licences = licences_of(load_model(run.model), run.spec)
    return write_report(
        place,
        put_evaluation(
            report.model_copy(update={"licences": licences}),
            data=data,
            models=parts,
            teachers=list(ensemble.members) if ensemble else None,
            comparison=comparison,
            verdict=verdict,
            notes=[*said, *notes_on_classes(data, run.spec.recipe.train)],
        ),
    )


def _own_scheme(run: Run) -> str | None:
    """The name of a scheme in which the student learns from itself or its peers."""
    recipe = run.spec.recipe
    return recipe.scheme.name if scheme_of(recipe).teaches_itself else None
