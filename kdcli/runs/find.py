"""Where runs lie, and the one that a spec describes."""

import os
from contextlib import suppress
from itertools import chain
from pathlib import Path

from kdcli.core.errors import KdError
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec


def runs_root() -> Path:
    """`$KD_RUNS`, else `runs/` here; it may not be there yet."""
    # `or`: a variable that is set to nothing would mean the working directory
    return Path(os.environ.get("KD_RUNS") or "runs")


def answers_root() -> Path:
    """Where teachers' stored answers lie, beside the runs that learnt from them."""
    return runs_root() / "answers"


def all_runs() -> list[Run]:
    """Every run folder under `runs/`, oldest first."""
    files = runs_root().glob("*/run.yaml")
    return [Run(f.parent) for f in sorted(files, key=lambda f: f.lstat().st_mtime)]


def find(spec: Spec) -> Run | None:
    """The run under `runs/` that was made from the same things, finished or not.

    By its own name first, then by the digest that ends every name: the words in front are for
    people (recipe, data, role), and the same training may have been asked for in others.
    """
    root, digest = runs_root(), spec.digest
    for folder in chain([root / spec.folder_name], root.glob(f"*-{digest}")):
        if (folder / "run.yaml").is_file() and _made_from(digest, Run(folder)):
            return Run(folder)
    return None


def is_finished(spec: Spec) -> bool:
    """Whether there is such a run, and it has come to its end."""
    run = find(spec)
    return run is not None and run.finished


def _made_from(digest: str, run: Run) -> bool:
    """As run.yaml says, or nobody can tell; parsed only where no line says so at once.

    Parsing and checking takes 1 to 5 ms, and an ensemble asks for each of a thousand members. A
    damaged one counts as made from this: better told of than silently trained beside it.
    """
    with suppress(OSError, UnicodeDecodeError):
        if f"\ndigest: {digest}\n" in (run.path / "run.yaml").read_text("utf-8"):
            return True
    return run.digest in (digest, None)


def spec_beside(model: str) -> Spec | None:
    """What made it; None where no run.yaml lies beside it that could tell (others' files)."""
    with suppress(KdError):
        return Run(Path(model).parent).spec
    return None
