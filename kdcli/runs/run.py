"""A run's folder, and where the runs are."""

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from kdcli.core.errors import DamagedFile, UsageError
from kdcli.core.file_format import NEEDS, RUN
from kdcli.core.files import write_text
from kdcli.core.json_text import from_json
from kdcli.recipe.safe_yaml import from_yaml, to_yaml
from kdcli.runs.layout import (
    EXPORTS,
    NOT_FINITE,
    OF_EXPORTS,
    OF_OTHERS,
    OF_STEPS,
    OF_TIMM,
    TIMM,
    is_kds,
)
from kdcli.runs.metrics_file import AGAIN, read_lines
from kdcli.runs.spec import Spec

_FROZEN = ConfigDict(frozen=True, extra="forbid")


class RunFile(BaseModel):
    """run.yaml. A key that this kd does not know is a newer kd's: refused, not guessed at."""

    model_config = _FROZEN
    format: int = RUN.writes
    asked: bool
    """A person asked for it; False for teachers, baselines, further seeds."""
    digest: str
    spec: Spec
    versions: dict[str, str]
    started: str
    threads: int | None = None
    """Of the arithmetic; at another number the last bits differ. None: an older kd's."""
    answers: tuple[str, ...] = ()
    """Stores under runs/answers/ in which its teachers were looked up; none: they were asked."""


@dataclass(frozen=True)
class Need:
    """A file that a run was made from, and its sum at that time."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class Run:
    """A run's folder. Nothing is kept in memory: another kd may be writing in it, so that every
    question is answered from the disk as it is then."""

    path: Path

    @property
    def model(self) -> Path:
        return self.path / "model.pt"

    @property
    def state(self) -> Path:
        return self.path / "state.pt"

    @property
    def former_state(self) -> Path:
        return self.path / "state.former.pt"

    def clear_state(self) -> None:
        """Remove what only a training that goes on needs, and what one that failed has left."""
        for one in (self.state, self.former_state, self.path / NOT_FINITE):
            one.unlink(missing_ok=True)

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def exports(self) -> Path:
        return self.path / EXPORTS

    def exported(self) -> dict[str, list[Path]]:
        """What kd wrote to be used elsewhere, by the folder's name: `export`, `timm`."""
        # by name: what a person has put there is neither counted nor removed; nor behind a link
        files = [file for file in self.exports.glob("*") if OF_EXPORTS.fullmatch(file.name)]
        found = {EXPORTS: files} if files and not self.exports.is_symlink() else {}
        for folder in filter(is_kds, self.path.glob(f"{TIMM}*")):
            if folder.is_symlink():
                continue
            found[folder.name] = [file for file in folder.glob("*") if file.name in OF_TIMM]
        return found

    def clear_exports(self) -> None:
        """Remove what kd wrote there; a person's own files stay."""
        for name, files in self.exported().items():
            for file in files:
                file.unlink()
            with suppress(OSError):  # it is not empty
                (self.path / name).rmdir()

    @property
    def log(self) -> Path:
        return self.path / "run.log"

    @property
    def finished(self) -> bool:
        """An empty model.pt is none: a disk that was full, a power cut."""
        return self.model.is_file() and self.model.stat().st_size > 0

    def other(self, name: str) -> Path:
        """The file of one that learnt with the model that ships: `peer.1`, `exit.2`, ..."""
        return self.path / f"model.{name.replace('.', '_')}.pt"

    def others(self) -> dict[str, Path]:
        """Those that are there, by role: `peer_1`, `exit_2`, ..."""
        files = {file.name: file for file in self.path.glob("model.*.pt")}
        known = {name: OF_OTHERS.fullmatch(name) for name in sorted(files)}
        return {match[1]: files[name] for name, match in known.items() if match}

    def step(self, number: int) -> Path:
        """The file of the weights after so many steps, from 1 on."""
        return self.path / f"step.{number:07}.safetensors"

    def steps(self) -> tuple[int, ...]:
        """After which steps weights are kept; ascending."""
        found = [OF_STEPS.fullmatch(file.name) for file in self.path.glob("step.*.safetensors")]
        return tuple(sorted(int(match[1]) for match in found if match))

    def file(self) -> RunFile:
        """run.yaml, checked.

        Raises:
            UsageError: there is none, so this is no run folder.
            DamagedFile: it is not what this kd writes or reads.
        """
        place = self.path / "run.yaml"
        if os.path.lexists(place) and not place.is_file():  # a pipe would be waited for
            raise DamagedFile(f"{place}: no file", AGAIN)
        try:
            raw = from_yaml(place.read_text("utf-8"))
            if isinstance(raw, dict):
                RUN.refuse_others(place, raw.pop(RUN.key, None), AGAIN)
            return RunFile.model_validate(raw)
        except FileNotFoundError as error:
            raise UsageError(
                f"{self.path}: not a run folder (no run.yaml)", "kd list runs shows them"
            ) from error
        except OSError as error:
            raise DamagedFile(
                f"{place}: cannot be read ({error.strerror or error})", "allow kd to read it"
            ) from error
        except ValueError as error:  # YAML's, UTF-8's and pydantic's are ValueErrors
            raise DamagedFile(
                f"{place}: damaged, or written by another version of kd", AGAIN
            ) from error

    @property
    def spec(self) -> Spec:
        return self.file().spec

    @property
    def digest(self) -> str | None:
        """Of what it was made from; None for a damaged run, which hides no other in a list."""
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

    @property
    def known(self) -> RunFile | None:
        """run.yaml; None where nothing has begun, or nobody can read it."""
        try:
            return self.file()
        except (DamagedFile, UsageError):
            return None

    @property
    def threads(self) -> int | None:
        """With how many it was begun; None where that is not known, or nothing has begun."""
        return self.known.threads if self.known else None

    @property
    def answers(self) -> tuple[str, ...]:
        """The names of the stores in which its teachers were looked up."""
        return self.known.answers if self.known else ()

    def needs(self) -> dict[str, Need]:
        """What it was made from, by role (`teacher.0`); empty where there is nothing.

        Paths are relative in the file: runs/ may be moved or copied as a whole.

        Raises:
            DamagedFile: needs.json is not what this kd writes or reads.
        """
        place = self.path / "needs.json"
        if not os.path.lexists(place):
            return {}
        if not place.is_file():
            raise DamagedFile(f"{place}: no file", AGAIN)
        try:
            raw = dict(from_json(place.read_text("utf-8")))
            NEEDS.refuse_others(place, raw.pop(NEEDS.key, None), AGAIN)
            return {
                role: Need(self.path / need["path"], need["sha256"]) for role, need in raw.items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedFile(f"{place}: damaged", AGAIN) from error

    def lines(self) -> list[dict[str, Any]]:
        """metrics.jsonl, as far as it can be read; raises DamagedFile for that of a newer kd."""
        return read_lines(self.metrics)

    def taught_at_best(self, measured: str = "accuracy") -> dict[str, float]:
        """Validation accuracy (or `balanced_accuracy`), after the best epoch, of teachers that
        learnt with the student."""
        lines = self.lines()
        best = lines[-1].get("best_epoch") if lines else None
        at_best = (line for line in lines if best and line.get("epoch") == best)
        return dict(next(at_best, {}).get(f"teacher_val_{measured}", {}))

    def outcome(self) -> dict[str, Any]:
        """The closing line of metrics.jsonl: how training ended; empty while it has not."""
        lines = self.lines()
        # the line comes a moment before model.pt, which alone says that it is finished
        return lines[-1] if self.finished and lines and "ended" in lines[-1] else {}

    @property
    def ships(self) -> str:
        """Which of its networks model.pt is: `student`, `peer.1`, `fused`, ..."""
        ships: str = self.outcome().get("ships", "student")
        return ships

    @property
    def candidates(self) -> int:
        """How many networks might have shipped; 0 where there was no choice."""
        epochs = [line for line in self.lines() if "epoch" in line]
        return len(epochs[-1].get("val_accuracy_of", ())) if epochs else 0


def begin(
    path: Path,
    spec: Spec,
    asked: bool,
    versions: dict[str, str],
    threads: int | None = None,
    answers: tuple[str, ...] = (),
) -> Run:
    """Make the folder and write run.yaml.

    Raises:
        DiskError: full, read-only, or no permission.
    """
    file = RunFile(
        asked=asked,
        digest=spec.digest,
        spec=spec,
        versions=versions,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        threads=threads,
        answers=answers,
    )
    _write_run_file(Run(path), file)
    return Run(path)


def note(run: Run, **changes: Any) -> None:
    """A run that was a prerequisite has been `asked` for, goes on with other `threads`, or its
    images without labels have moved; of a `spec` with the same digest."""
    if (changed := (file := run.file()).model_copy(update=changes)) != file:
        _write_run_file(run, changed)


def state_licence(run: Run, licence: str) -> None:
    """Of a finished run's images, said by now: it changes no weight, so nothing is trained anew."""
    raw = (file := run.file()).model_dump(by_alias=True)
    if licence != "auto" and raw["spec"]["recipe"]["data"]["licence"] != licence:
        raw["spec"]["recipe"]["data"]["licence"] = licence
        _write_run_file(run, file.model_validate(raw))


def _write_run_file(run: Run, file: RunFile) -> None:
    raw = file.model_dump(mode="json", by_alias=True)
    write_text(run.path / "run.yaml", to_yaml(raw))
