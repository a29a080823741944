"""What is wrong with the files of a run's folder, as far as a look tells."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from kdcli.core.errors import KdError
from kdcli.runs.layout import FILES, is_model
from kdcli.runs.run import Run

ARCHIVES = ("predictions.npz",)
"""Beside the models: zip files, whose end says whether they are whole."""


def damages(folder: Path) -> Iterator[str]:
    """A line for each file that no command could use, with its path; nothing is read whole but
    what is small."""
    run = Run(folder)
    odd = [name for name in FILES if os.path.lexists(folder / name) and not _is_file(folder / name)]
    yield from (f"{folder / name}: no file" for name in odd)
    readers = {"run.yaml": run.file, "needs.json": run.needs, "metrics.jsonl": run.lines}
    for name, read in readers.items():
        if name not in odd and (run.path / "run.yaml").exists():
            try:
                read()
            except KdError as error:
                yield error.what
            except OSError as error:
                yield f"{error.filename}: cannot be read ({error.strerror})"
    models = sorted(file.name for file in folder.glob("model*.pt") if is_model(file.name))
    for name in (*models, *ARCHIVES):
        if _is_file(folder / name) and (why := _not_whole(folder / name)):
            yield f"{folder / name}: {why}"
    if run.finished and "metrics.jsonl" not in odd and not _ended(run):
        yield f"{run.metrics}: does not tell how the training ended"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _not_whole(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return "" if zipfile.is_zipfile(opened) else "damaged, or cut short"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _ended(run: Run) -> bool:
    try:
        return not run.metrics.exists() or bool(run.outcome())
    except (KdError, OSError):
        return True  # said before
