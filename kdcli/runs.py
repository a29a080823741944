"""A run's folder: what lies where, and where the runs are.

RUN/ run.yaml         who, resolved recipe, versions   needs.json   what it depends on, by sha256
     model.pt         what ships; its being there      state.pt     resume state of the last epoch;
                      means finished                                removed when done
     metrics.jsonl    one line per epoch and an end    split.json   a split that was made here
     predictions.npz  answers on test                  report.json  report.md
     run.log          what was said, what went wrong   transfer.npz what teachers answered
     model.NAME.pt    who learnt with the model that ships: a peer, an exit, ...
     export/          what is copied to where the model is used: model.onnx, ...
     step.N.safetensors  the weights after N steps, of a teacher whose trajectory is followed
"""

import json
import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from kdcli.errors import DamagedFile, UsageError
from kdcli.files import write_text
from kdcli.spec import Spec

FILES = (
    *("run.yaml", "needs.json", "model.pt", "state.pt", "metrics.jsonl", "run.log"),
    *("split.json", "transfer.npz", "predictions.npz", "report.json", "report.md"),
)
"""All that kd writes into a run's folder, but for what `OF_OTHERS` names."""

EXPORTS = "export"
"""The folder of what is copied to where the model is used."""

OF_EXPORTS = re.compile(r"model(\.\w+)*\.onnx(\.data)?")
"""What kd writes there."""

OF_OTHERS = re.compile(r"model\.(\w+)\.(pt|report\.json|report\.md)")
"""Of the models beside model.pt: `model.peer_1.pt`, and what was made of it."""

OF_STEPS = re.compile(r"step\.(\d{7,})\.safetensors")
"""Of the weights after a step: `step.0000123.safetensors`."""

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


def is_ours(name: str) -> bool:
    """Whether kd writes a file of this name into a run's folder."""
    return name in FILES or any(kind.fullmatch(name) for kind in (OF_OTHERS, OF_STEPS))


def is_model(name: str) -> bool:
    """Whether a run keeps one of its models under this name: what ships, or another."""
    other = OF_OTHERS.fullmatch(name)
    return name == "model.pt" or (other is not None and other[2] == "pt")


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
    def exports(self) -> Path:
        return self.path / EXPORTS

    def exported(self) -> list[Path]:
        """What kd wrote there."""
        return [file for file in self.exports.glob("*") if OF_EXPORTS.fullmatch(file.name)]

    def clear_exports(self) -> None:
        """Remove what kd wrote there; a person's own files stay."""
        for file in self.exported():
            file.unlink()
        with suppress(OSError):  # there is no such folder, or it is not empty
            self.exports.rmdir()

    @property
    def log(self) -> Path:
        return self.path / "run.log"

    @property
    def finished(self) -> bool:
        return self.model.is_file()

    def other(self, name: str) -> Path:
        """The file of one that learnt with the model that ships: `peer.1`, `exit.2`, ..."""
        return self.path / f"model.{name.replace('.', '_')}.pt"

    def others(self) -> dict[str, Path]:
        """Those that are there, by role: `peer_1`, `exit_2`, ..."""
        files = {file.name: file for file in self.path.glob("model.*.pt")}
        known = {name: OF_OTHERS.fullmatch(name) for name in sorted(files)}
        return {match[1]: files[name] for name, match in known.items() if match}

    def step(self, number: int) -> Path:
        """The file of the weights after so many steps."""
        return self.path / f"step.{number:07}.safetensors"

    def steps(self) -> tuple[int, ...]:
        """After which steps weights are kept; ascending."""
        found = [OF_STEPS.fullmatch(file.name) for file in self.path.glob("step.*.safetensors")]
        return tuple(sorted(int(match[1]) for match in found if match))

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

    def taught_at_best(self) -> dict[str, float]:
        """Validation accuracy, after the best epoch, of teachers that learnt with the student."""
        lines = self.lines()
        best = lines[-1].get("best_epoch") if lines else None
        at_best = (line for line in lines if best and line.get("epoch") == best)
        return dict(next(at_best, {}).get("teacher_val_accuracy", {}))

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
