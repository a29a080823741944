"""What a training leaves in its folder: its models, and what they were made from."""

import json
import os
from pathlib import Path

from torch import Tensor

from kdcli.checkpoint import ModelFile, save_model
from kdcli.commands.assemble import Assembled
from kdcli.data.source import Source
from kdcli.files import sha256, write_text
from kdcli.models.model_args import ModelArgs
from kdcli.recipe import dump
from kdcli.runs import Run, versions
from kdcli.spec import Spec
from kdcli.training import Ended


def save_models(
    run: Run,
    spec: Spec,
    source: Source,
    parts: Assembled,
    weights: dict[str, dict[str, Tensor]],
    ended: Ended,
) -> None:
    """Who learnt with the model that ships; then that itself, as model.pt."""
    for name, (args, state) in parts.finished(weights).items():
        file = _model_file(spec, source, args, state, ended)
        if name == ended.ships:
            shipped = file
        else:
            save_model(file, run.other("peer.0" if name == "student" else name))
    save_model(shipped, run.model)


def write_needs(run: Run, teachers: list[Path | None]) -> None:
    """What this run depends on, by paths relative to it; not on teachers that learn with it."""
    needs = {
        f"teacher.{i}": {"path": _relative(path, run.path), "sha256": sha256(path)}
        for i, path in enumerate(teachers)
        if path
    }
    if needs:
        write_text(run.path / "needs.json", json.dumps(needs, indent=1))


def _relative(path: Path, folder: Path) -> str:
    """Absolute where no relative path leads there, as between Windows' drives."""
    try:
        return os.path.relpath(path, folder)
    except ValueError:
        return str(path.resolve())


def _model_file(
    spec: Spec, source: Source, args: ModelArgs, weights: dict[str, Tensor], ended: Ended
) -> ModelFile:
    provenance = {
        "role": spec.role,
        "teachers": [teacher.words for teacher in spec.teachers],
        "data": spec.data.name,
        "seed": spec.seed,
        "digest": spec.digest,
        "versions": versions(),
        "epochs": ended.epochs,
        "val_accuracy": ended.val_accuracy,
    }
    return ModelFile(args.as_dict(), weights, source.classes, dump(spec.recipe), provenance)
