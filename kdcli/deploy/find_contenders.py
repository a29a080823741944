"""What was typed (a run, a model.pt, an exported file, a report.json) becomes somebody who can be
compared: by what was kept of it, else by asking it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch

from kdcli.core.class_order import places_in
from kdcli.core.errors import DamagedFile, UsageError
from kdcli.core.files import sha256
from kdcli.core.progress import Progress
from kdcli.data.decoding import Decoding
from kdcli.data.find_decoding import decoded
from kdcli.data.source import Split
from kdcli.data.store import open_store
from kdcli.deploy.file_answers import file_answers
from kdcli.deploy.onnx_file.feeding import feeding_of
from kdcli.deploy.onnx_file.read import describe
from kdcli.evaluation.answers import Logits, ask
from kdcli.evaluation.contenders import Contender
from kdcli.evaluation.cost import costs
from kdcli.evaluation.metrics import nll
from kdcli.evaluation.predictions import NAME, Predictions, read_predictions, tested
from kdcli.models.checkpoint import load_model
from kdcli.models.loading import read_args
from kdcli.recipe.edit import crop_pct_of, get
from kdcli.report.file import read_report
from kdcli.report.model import ModelPart
from kdcli.report.schema import Report
from kdcli.runs.layout import EXPORTS
from kdcli.runs.locate import locate
from kdcli.runs.run import Run

OTHERS = "compare models of these classes"


@dataclass(frozen=True)
class Given:
    """What was typed."""

    typed: str
    run: Run | None = None
    """Itself, or around the file."""
    file: Path | None = None
    """An exported one, or a model.pt that no run ships."""
    record: Path | None = None
    """A report.json without its run."""

    @property
    def made(self) -> Run:
        """The run that was typed."""
        assert self.run is not None
        return self.run

    @property
    def model(self) -> Path:
        """The file that answers; raises UsageError where its record alone is here."""
        if self.record:
            raise UsageError(
                f"{self.typed}: test images differ, and a record alone cannot be asked about these",
                "give the run, its model.pt or an exported file",
            )
        return self.file or self.made.model

    @property
    def is_onnx(self) -> bool:
        """It is an exported file."""
        return self.file is not None and self.file.suffix == ".onnx"


def find_given(typed: str, progress: Progress) -> Given:
    """What a word of the command line means.

    Raises:
        UsageError: none of these things.
        DataError: a run that has not finished.
    """
    path = Path(typed)
    if path.suffix == ".json" and path.is_file():
        return Given(typed, record=path)
    if path.suffix == ".onnx" and path.is_file():
        around = path.resolve().parent
        around = around.parent if around.name == EXPORTS else around
        is_run = (around / "run.yaml").is_file()
        return Given(typed, run=Run(around) if is_run else None, file=path)
    located = locate(typed, progress)
    if located.run is None or not located.ships:
        return Given(typed, file=located.model)
    return Given(typed, run=located.run)


def classes_of(one: Given) -> tuple[str, ...]:
    """Of the model, in the order of its answers.

    Raises:
        UsageError: an ONNX file that is not kd's.
        DamagedFile: a file that cannot be read.
    """
    return feeding_of(one.model).classes if one.is_onnx else read_args(one.model)[1]


def kept(one: Given) -> Contender | None:
    """What was measured before: by its report, with the answers beside it.

    Raises:
        UsageError: a report.json without the answers.
        DamagedFile: either cannot be read.
    """
    if one.file or (one.run and not (one.run.path / "report.json").is_file()):
        return None
    place = one.record or one.made.path / "report.json"
    report = read_report(place, sha256(one.run.model) if one.run else None)
    answers = read_predictions(place.with_name(NAME))
    if one.record and (report is None or answers is None or "student" not in report.models):
        raise UsageError(
            f"{place}: no {NAME} beside it, so nobody knows what its models answered",
            f"keep {NAME} with it, as kd evaluate writes both",
        )
    if report is None or answers is None or report.data is None or "student" not in answers.logits:
        return None
    part = report.models["student"]
    classes = tuple(report.data.test_images_by_class or ())
    if not _are_of(answers, part, len(classes)):
        raise DamagedFile(
            f"{place.with_name(NAME)}: of another evaluation than {place.name}",
            "kd evaluate RUN writes both",
        )
    seeds = tuple(seed.seed for seed in part.seeds or ())
    spec = one.run.spec if one.run else None
    return Contender(
        typed=(one.typed,),
        role=report.role,
        name=part.name,
        tested=answers.tested,
        classes=classes,
        logits=answers.logits["student"],
        beside={role: logits for role, logits in answers.logits.items() if role != "student"},
        seeds=seeds or (spec.seed if spec else 0,),
        costs={"params": part.params, "macs": part.macs},
        file=one.run.model if one.run else _beside(place, report),
        spec=spec,
        report=report,
    )


def _are_of(answers: Predictions, part: ModelPart, classes: int) -> bool:
    """Whether the student's answers are those that the record tells of."""
    logits = answers.logits["student"]
    right = float((logits.argmax(2) == answers.tested.labels).mean())
    alike = part.accuracy is not None and abs(right - part.accuracy) < 1e-6
    if alike and part.nll is not None:
        loss = fmean(nll(one, answers.tested.labels) for one in logits)
        alike = math.isclose(loss, part.nll, rel_tol=1e-4, abs_tol=1e-6)
    return alike and logits.shape[2] == classes and len(logits) == len(part.seeds or "1")


def _beside(record: Path, report: Report) -> Path | None:
    """The model.pt whose record it is, where that lies there too: it can be timed."""
    model = record.with_name("model.pt")
    return model if model.is_file() and sha256(model) == report.model_sha256 else None


def asked(
    one: Given, test: Split, classes: Sequence[str], place: torch.device, progress: Progress
) -> Contender:
    """It is asked about these images now.

    Raises:
        UnfitTeacher: its classes are others.
    """
    spec = None if one.file else one.made.spec
    about = describe(one.file) if one.file and one.is_onnx else None
    args = None if about else read_args(one.model)[0]
    return Contender(
        typed=(one.typed,),
        role=spec.role if spec else "file",
        name=args.words if args else about.metadata.get("kd.model", "") if about else "",
        tested=tested(test),
        classes=tuple(classes),
        logits=logits_of(one, test, classes, place, progress)[None],
        seeds=(spec.seed if spec else 0,),
        costs=costs(args) if args else {"params": about.parameters if about else 0, "macs": None},
        file=one.model,
        spec=spec,
    )


def logits_of(
    one: Given, test: Split, classes: Sequence[str], place: torch.device, progress: Progress
) -> Logits:
    """(N, K) in the order of these classes; images are decoded, cut and scaled as the model learnt
    them, wherever they come from."""
    if one.is_onnx:
        rule = feeding_of(one.model).decoding
        return file_answers(one.model, decoded(test, rule), classes, progress)
    file = load_model(one.model)
    places = places_in(file.classes, classes, one.typed, OTHERS)
    size = get(file.recipe, "data.image_size")
    size = size if isinstance(size, int) else read_args(one.model)[0].input_size
    crop_pct = crop_pct_of(get(file.recipe, "data.crop_pct"))
    rule = Decoding.from_dict(file.provenance.get("decoding"))
    store = open_store(decoded(test, rule), size, progress, crop_pct=crop_pct)
    logits = ask(one.model, store, place).logits
    return logits if places is None else logits[:, places]
