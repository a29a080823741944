"""`kd export --format timm`: a folder that timm loads and the Hub takes, whole or not at all."""

from pathlib import Path
from shlex import quote

from kdcli import __version__
from kdcli.core.arrays import Floats
from kdcli.core.errors import ParityError, UsageError
from kdcli.core.files import atomic_folder, write_text
from kdcli.data.decoding import Decoding
from kdcli.deploy.model_card import model_card, origin_of
from kdcli.deploy.outgoing import Outgoing
from kdcli.deploy.parity import as_function, check_same
from kdcli.deploy.result import Kept
from kdcli.deploy.samples import Samples
from kdcli.evaluation import metrics
from kdcli.models.checkpoint import save_weights
from kdcli.models.loading import Loaded
from kdcli.models.model_args import ModelArgs
from kdcli.models.timm_folder import (
    WRITTEN_BY,
    built_by_timm,
    describe,
    refuse_heads,
    refuse_unknown_to_timm,
    write_config,
)
from kdcli.runs.layout import OF_TIMM, is_kds

CONFIG, WEIGHTS, CARD = OF_TIMM
TOLERANCE = 1e-6
"""Of any logit: the same weights in the same module."""


def refuse(args: ModelArgs, folder: Path) -> None:
    """Before anything is asked.

    Raises:
        UnmetNeeds: a model that timm cannot build from a config.json.
        UsageError: something else lies there.
    """
    refuse_unknown_to_timm(args)
    refuse_taken(folder)


def write_folder(outgoing: Outgoing) -> Kept:
    """Write the folder, load it with timm, and keep it if it says and answers what the student
    does.

    Raises:
        UnmetNeeds: several heads that were not folded.
        UsageError: something else lies there.
        ParityError: timm makes another model of it.
    """
    student, folder, samples = outgoing.student, outgoing.path, outgoing.samples
    refuse_heads(student.args, outgoing.fold.reason if outgoing.fold else "")
    refuse_taken(folder)
    origin = origin_of(student, outgoing.located)
    known = ("data", "seed", "digest")
    made = {key: value for key, value in student.file.provenance.items() if key in known}
    made["decoding"] = Decoding.from_dict(student.file.provenance.get("decoding")).as_dict()
    with atomic_folder(folder) as beside:
        save_weights(student.module.state_dict(), beside / WEIGHTS)
        write_config(
            student.module,
            student.args,
            student.file.classes,
            samples.crop_pct,
            origin.licence,
            {"version": __version__, **made},
            beside / CONFIG,
        )
        _check_words(student, beside)
        again = Loaded(built_by_timm(beside), student.args, student.file)
        parity, answers = check_same(student, as_function(again), samples, TOLERANCE)
        card = model_card(outgoing.report, origin, outgoing.fold, accuracy_of(answers, samples))
        write_text(beside / CARD, card)
    return Kept([folder / name for name in (WEIGHTS, CONFIG, CARD)], WRITTEN_BY, parity, answers)


def refuse_taken(folder: Path) -> None:
    """Raise UsageError for a place that holds anything but a folder that kd wrote."""
    if not folder.exists():
        return
    where = "give --out another folder"
    if not folder.is_dir():
        raise UsageError(f"--format timm writes a folder; {folder} is a file", where)
    entries = {entry.name for entry in folder.iterdir()}
    if others := sorted(entries - set(OF_TIMM)):
        raise UsageError(f"{folder}: holds {others[0]}, which kd did not write", where)
    if entries and not is_kds(folder):
        raise UsageError(f"{folder}: holds a model that kd did not write", where)


def accuracy_of(answers: Floats, samples: Samples) -> float | None:
    """On real images; None on made-up ones."""
    return None if samples.labels is None else metrics.accuracy(answers, samples.labels)


def _check_words(student: Loaded, folder: Path) -> None:
    """What config.json says must be the student's, as kd itself reads it."""
    told, args = describe(folder, f"local-dir:{quote(str(folder))}"), student.args
    found = (told.classes, told.size, told.mean, told.std)
    wanted = (student.file.classes, args.input_size, tuple(args.mean), tuple(args.std))
    if found != wanted:
        raise ParityError(
            f"timm reads {found} from the folder's config.json, which should be {wanted}; "
            "the folder was removed",
            "--format onnx; please report the model's name",
        )
