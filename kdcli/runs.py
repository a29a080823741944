"""A run's folder: what lies where, and where the runs are.

RUN/ run.yaml         who, resolved recipe, versions   needs.json   what it depends on, by sha256
     model.pt         what ships; its being there      state.pt     resume state of the last epoch;
                      means finished                                removed when done
     metrics.jsonl    one line per epoch and an end    split.json   a split that was made here
     predictions.npz  answers on test                  report.json  report.md   model.onnx
     run.log          what was said, what went wrong   transfer.npz what teachers answered
"""

import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from kdcli.errors import DamagedFile, DataError, UsageError
from kdcli.files import write_text
from kdcli.spec import Spec

FILES = (
    *("run.yaml", "needs.json", "model.pt", "state.pt", "metrics.jsonl", "run.log"),
    *("split.json", "transfer.npz", "predictions.npz", "report.json", "report.md", "model.onnx"),
)
"""All that kd writes into a run's folder."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C: ten times as fast
_FROZEN = ConfigDict(frozen=True, extra="forbid")


class RunFile(BaseModel):
    """run.yaml."""

    model_config = _FROZEN
    asked: bool
    """A person asked for it; False for teachers, baselines, further seeds."""
    digest: str
    spec: Spec
    versions: dict[str, str]
    started: str


@dataclass(frozen=True)
class Need:
    """A file that a run was made from, and its sum at that time."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class Run:
    """A run's folder."""

    path: Path

    @property
    def model(self) -> Path:
        return self.path / "model.pt"

    @property
    def state(self) -> Path:
        return self.path / "state.pt"

    @property
    def transfer(self) -> Path:
        return self.path / "transfer.npz"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "run.log"

    @property
    def finished(self) -> bool:
        return self.model.is_file()

    def file(self) -> RunFile:
        """run.yaml, checked.

        Raises:
            UsageError: there is none, so this is no run folder.
            DamagedFile: it is not what kd writes.
        """
        place = self.path / "run.yaml"
        try:
            return RunFile.model_validate(yaml.load(place.read_text("utf-8"), _LOADER))
        except FileNotFoundError as error:
            raise UsageError(
                f"{self.path}: not a run folder (no run.yaml)", "kd list runs shows them"
            ) from error
        except (OSError, yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
            raise DamagedFile(
                f"{place}: damaged, or written by another version of kd",
                "repeat the command that made the run with --again",
            ) from error

    @property
    def spec(self) -> Spec:
        return self.file().spec

    @property
    def digest(self) -> str | None:
        """Of what it was made from; None for a damaged run."""
        try:
            return self.file().digest
        except DamagedFile:
            return None

    @property
    def asked(self) -> bool:
        """A person asked for it; False also for a damaged run."""
        try:
            return self.file().asked
        except DamagedFile:
            return False

    def needs(self) -> dict[str, Need]:
        """What it was made from, by role (`teacher.0`); empty where there is nothing.

        Raises:
            DamagedFile: needs.json is not what kd writes.
        """
        place = self.path / "needs.json"
        if not place.is_file():
            return {}
        try:
            raw = json.loads(place.read_text("utf-8"))
            return {
                role: Need(self.path / need["path"], need["sha256"]) for role, need in raw.items()
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedFile(
                f"{place}: damaged", "repeat the command that made the run with --again"
            ) from error

    def lines(self) -> list[dict[str, Any]]:
        """metrics.jsonl; a torn last line is left out."""
        if not self.metrics.is_file():
            return []
        found = []
        for line in self.metrics.read_text("utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return found

    def outcome(self) -> dict[str, Any]:
        """The closing line of metrics.jsonl: how training ended; empty while it has not."""
        lines = self.lines()
        return lines[-1] if self.finished and lines and "ended" in lines[-1] else {}


def runs_root() -> Path:
    """`$KD_RUNS`, else `runs/` here."""
    return Path(os.environ.get("KD_RUNS") or "runs")


def all_runs() -> list[Run]:
    """Every run folder under `runs/`, oldest first."""
    files = runs_root().glob("*/run.yaml")
    return [Run(f.parent) for f in sorted(files, key=lambda f: f.stat().st_mtime)]


def find(spec: Spec) -> Run | None:
    """The run under `runs/` that was made from the same things, finished or not."""
    root, digest = runs_root(), spec.digest
    for folder in chain([root / spec.folder_name], root.glob(f"*-{digest}")):
        if (folder / "run.yaml").is_file() and _made_from(digest, Run(folder)):
            return Run(folder)
    return None


def _made_from(digest: str, run: Run) -> bool:
    """As run.yaml says, or nobody can tell; parsed only where no line says so at once."""
    with suppress(OSError, UnicodeDecodeError):
        if f"\ndigest: {digest}\n" in (run.path / "run.yaml").read_text("utf-8"):
            return True
    return run.digest in (digest, None)


def newest() -> Run | None:
    """The newest finished run that a person asked for; damaged ones are passed over."""
    runs = [run for run in all_runs() if run.finished and run.asked]
    return max(runs, key=lambda run: run.model.stat().st_mtime, default=None)


@dataclass(frozen=True)
class Located:
    """What RUN or FILE on the command line meant; `said` where it had to be guessed."""

    run: Run | None
    """None for a model.pt that lies alone."""
    model: Path
    said: str = ""


def locate(thing: str | None) -> Located:
    """A run folder or a model.pt as given; `model.pt` or nothing means the newest finished run.

    Raises:
        UsageError: there is no such thing, or it is another file: an ONNX file, a run's report.
        DataError: the run has not finished.
    """
    if thing is not None and Path(thing).exists():
        return _locate_path(Path(thing))
    if thing is None or thing == "model.pt":
        run = newest()
        if run is None:
            raise UsageError(
                f"no finished run under {runs_root()}/",
                "make one: kd distill --teacher resnet101 --student mobilenetv3",
            )
        shown = "no run given" if thing is None else "model.pt: none here"
        return Located(run, run.model, f"{shown}, using {run.model} (finished {_ago(run.model)})")
    raise UsageError(
        f"{thing}: no such file or folder", "give a run folder or a model.pt; kd list runs"
    )


def refuse_onnx(path: Path) -> None:
    """Raise UsageError for an ONNX file where a model of PyTorch is wanted."""
    if path.suffix.lower() == ".onnx":
        raise UsageError(
            f"{path}: is an ONNX file already, no model of PyTorch",
            f"onnxruntime runs it, and kd inspect {quote(str(path))} shows what it is; for "
            "anything else give the run or the model.pt that it was made from",
        )


def _locate_path(path: Path) -> Located:
    if path.is_dir():
        run = Run(path)
        run.file()
        if not run.finished:
            raise DataError(
                f"{path}: this run has not finished", "repeat the command that started it"
            )
        return Located(run, run.model)
    refuse_onnx(path)
    inside = (path.parent / "run.yaml").is_file()
    if inside and path.name in FILES and path.name != "model.pt":
        raise UsageError(
            f"{path}: one of a run's files; kd takes the run's folder",
            f"give the folder, as in kd inspect {quote(str(path.parent))}",
        )
    beside = inside and path.name == "model.pt"
    return Located(Run(path.parent) if beside else None, path)


def _ago(path: Path) -> str:
    seconds = max(0.0, datetime.now().timestamp() - path.stat().st_mtime)
    for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {word} ago"
    return f"{seconds:.0f} s ago"


def begin(path: Path, spec: Spec, asked: bool, versions: dict[str, str]) -> Run:
    """Make the folder and write run.yaml."""
    file = RunFile(
        asked=asked,
        digest=spec.digest,
        spec=spec,
        versions=versions,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    _write_run_file(Run(path), file)
    return Run(path)


def mark_asked(run: Run) -> None:
    """A run that was a prerequisite until now has been asked for."""
    if not (file := run.file()).asked:
        _write_run_file(run, file.model_copy(update={"asked": True}))


def _write_run_file(run: Run, file: RunFile) -> None:
    raw = file.model_dump(mode="json", by_alias=True)
    write_text(run.path / "run.yaml", yaml.safe_dump(raw, sort_keys=False, allow_unicode=True))


def versions() -> dict[str, str]:
    """Of what decides a result; read without importing any of it."""
    from importlib.metadata import version

    packages = ("kdcli", "torch", "timm", "onnx", "onnxruntime")
    return {"python": sys.version.split()[0]} | {name: version(name) for name in packages}
