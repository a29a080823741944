"""What a training leaves in its folder: its models, and what they were made from."""

import json
import os
from pathlib import Path
from typing import Any

from torch import Tensor

from kdcli.core.file_format import NEEDS, SPLIT
from kdcli.core.files import sha256, write_text
from kdcli.data.source import Source
from kdcli.models.checkpoint import ModelFile, save_model
from kdcli.recipe.edit import dump
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec
from kdcli.runs.versions import versions
from kdcli.training.build import Assembled
from kdcli.training.licences import entries_of
from kdcli.training.loop import Ended


def save_models(
    run: Run,
    spec: Spec,
    source: Source,
    parts: Assembled,
    weights: dict[str, dict[str, Tensor]],
    ended: Ended,
) -> None:
    """Who learnt with the model that ships; then that itself, as model.pt: last, since a run counts
    as finished from then on, with all that belongs to it.

    Where a peer ships, the network that began as the student lies beside it as `peer.0`.
    """
    validated = _validated(run, ended)
    rule = {"decoding": source.decoding.as_dict()}
    for name, (args, state) in parts.finished(weights).items():
        made = _provenance(spec, name, ended, validated.get(name)) | rule
        own = _own_spec(spec, name)
        file = ModelFile(args.as_dict(), state, source.classes, dump(own.recipe), made)
        if name == ended.ships:
            shipped = file
        else:
            save_model(file, run.other("peer.0" if name == "student" else name))
    save_model(shipped, run.model)


def write_needs(run: Run, teachers: list[Path | None]) -> None:
    """What this run depends on, by paths relative to it, so that a folder of runs can be moved; not
    on teachers that learn with it, of which there is no file yet."""
    needs = {
        f"teacher.{i}": {"path": _relative(path, run.path), "sha256": sha256(path)}
        for i, path in enumerate(teachers)
        if path
    }
    if needs:
        write_text(run.path / "needs.json", json.dumps(NEEDS.numbered | needs, indent=1))


def write_split(run: Run, carved: dict[str, list[str]]) -> None:
    """Which images each split has that was made here; ids by its name."""
    if carved:
        text = json.dumps({**SPLIT.numbered, **carved}, ensure_ascii=False, indent=1)
        write_text(run.path / "split.json", text)


def _relative(path: Path, folder: Path) -> str:
    """Absolute where no relative path leads there, as between Windows' drives."""
    try:
        return os.path.relpath(path, folder)
    except ValueError:
        return str(path.resolve())


def _provenance(spec: Spec, name: str, ended: Ended, accuracy: float | None) -> dict[str, Any]:
    """Of one of the models; `accuracy` is its own on validation, None where nobody measured it."""
    own = _own_spec(spec, name)
    return {
        "role": spec.role if name == ended.ships else _role(name),
        "teachers": [teacher.words for teacher in own.teachers],
        "data": own.data.name,
        "seed": own.seed,
        "digest": own.digest,
        "run": own.folder_name,
        "recipe": own.recipe_name,
        "licences": [one.model_dump() for one in entries_of(own)],
        "versions": versions(),
        "epochs": ended.epochs,
        "val_accuracy": accuracy,
    }


def _own_spec(spec: Spec, name: str) -> Spec:
    """A teacher that learnt along has a spec of its own; all others were made by the run's."""
    teacher = spec.alongside.get(name)
    return teacher.spec if teacher and teacher.spec else spec


def _role(name: str) -> str:
    """`teacher`, `peer`, `exit`, `fused`; a network that began as the student is a peer now."""
    return "peer" if name == "student" else name.partition(".")[0]


def _validated(run: Run, ended: Ended) -> dict[str, float]:
    """The accuracies that were measured at the epoch that ships, by name."""
    epochs = (line for line in run.lines() if line.get("epoch") == ended.best_epoch)
    several: dict[str, float] = next(epochs, {}).get("val_accuracy_of", {})
    return several | {ended.ships: ended.val_accuracy}
