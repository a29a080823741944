"""What lies under runs/: every folder that kd made there, read once; stores of answers, too."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kdcli.core.errors import KdError
from kdcli.core.host_lock import HOLDER, LOCKS
from kdcli.core.lock import in_use
from kdcli.core.unfinished import YOUNG, bytes_of, is_abandoned, is_leftover
from kdcli.runs.find import answers_root, runs_root
from kdcli.runs.layout import (
    EXPORTS,
    OF_EXPORTS,
    OF_OTHERS,
    OF_TRIALS,
    TIMM,
    TRIED,
    is_model,
    is_of_answers,
    is_ours,
)
from kdcli.runs.run import Run, RunFile

REPORTS = (EXPORTS, TIMM, "report.json", "model.report.json")
"""What only a person's own command makes: whose run has one of these is kept, asked for or not."""


@dataclass(frozen=True)
class Folder:
    """A folder under runs/: a run, a given teacher that was adopted, a store of teachers' answers,
    or a start that failed."""

    path: Path
    file: RunFile | None
    """run.yaml; None where there is none, or it cannot be read."""
    sizes: dict[str, int]
    """Bytes of each file that kd wrote there, of a link its own; of `export` and
    `timm`, of all in it; of what a killed export left, as `export/NAME`."""
    in_use: bool
    """Another kd is working in it, or is writing a file there: who adopts a teacher takes no lock,
    and the locks of another machine may not reach this one."""
    changed: float
    """When, in seconds since 1970: it was finished, or came as far as it did."""
    is_open: bool = True
    """What is in it may be seen; where not, nobody knows what it needs."""

    @property
    def bytes(self) -> int:
        """On disk, of what kd wrote; a person's own files in it do not count."""
        return sum(self.sizes.values())

    @property
    def finished(self) -> bool:
        return self.sizes.get("model.pt", 0) > 0

    @property
    def role(self) -> str:
        """`teacher`, `baseline`, `student`; `given` for an adopted teacher, `answers` for what
        teachers said, `unknown` otherwise."""
        if self.file:
            return self.file.spec.role
        if self.is_store:
            return "answers"
        return "given" if self._adopted else "unknown"

    @property
    def state(self) -> str:
        """`finished`, `unfinished`, `in use`, `unreadable`; `given`; `stored`; `empty`: a failed
        start."""
        if self.in_use:
            return "in use"
        if self.is_store:
            return "stored"
        if not self.is_open or (self.file is None and "run.yaml" in self.sizes):
            return "unreadable"
        if self.file is None:
            return "given" if self._adopted else "empty"
        return "finished" if self.finished else "unfinished"

    @property
    def asked(self) -> bool:
        """A person asked for it, or for what was made of it."""
        return any(map(_for_somebody, self.sizes)) or bool(self.file and self.file.asked)

    @property
    def is_store(self) -> bool:
        """It holds teachers' answers, and is no run."""
        return self.path.parent.name == answers_root().name

    @cached_property
    def needs(self) -> frozenset[Path]:
        """The model.pt files of its teachers, as far as they are written down, and the folders of
        their answers that it learnt from."""
        refs = self.file.spec.teachers if self.file else ()
        found = {Path(ref.path) for ref in refs if ref.path}
        found |= {answers_root() / name for name in (self.file.answers if self.file else ())}
        # from both: needs.json is written a moment after run.yaml, and that may be unreadable
        with suppress(KdError, OSError):  # damaged
            found |= {need.path for need in Run(self.path).needs().values()}
        return frozenset(map(real, found))

    @property
    def _adopted(self) -> bool:
        return self.path.name.startswith("given-") and self.finished


def real(path: Path) -> Path:
    """Where links lead; of those that lead in a circle as far as they do."""
    return Path(os.path.realpath(path))


def inventory() -> list[Folder]:
    """Every folder that kd made under runs/, the oldest first; others are passed over."""
    root = runs_root()
    entries = root.iterdir() if root.is_dir() else ()
    paths = [path for path in entries if path.is_dir() or is_leftover(path.name)]
    found = [folder for path in paths if (folder := _read(path))]
    found += [folder for path in answers_root().glob("*/") if (folder := _read_store(path))]
    return sorted(found, key=lambda folder: (folder.changed, folder.path.name))


def _read(path: Path) -> Folder | None:
    try:
        return _read_leavings(path) or _read_run(path)
    except PermissionError:
        with suppress(OSError):
            return Folder(path, None, {}, False, path.lstat().st_mtime, is_open=False)
    except OSError:  # it went meanwhile
        pass
    return None


def _read_leavings(path: Path) -> Folder | None:
    """What a killed plan left: nothing but the file that it tried the disk with."""
    entries, changed = list(path.iterdir()) if path.is_dir() else [path], path.lstat().st_mtime
    if is_leftover(path.name):
        return Folder(path, None, _sizes(entries), _is_written(path), changed)
    tried = [e for e in entries if TRIED in (e.name, e.name[1 : 1 + len(TRIED)])]
    if OF_TRIALS.fullmatch(path.name) and entries and tried == entries:
        return Folder(path, None, _sizes(entries), time.time() - changed < YOUNG, changed)
    return None


def _read_run(path: Path) -> Folder | None:
    entries = list(path.iterdir())
    # lstat: a model.pt that is a link takes the room of a link, and removing it removes that
    sizes = _sizes(filter(_is_ours, entries))
    for name, files in Run(path).exported().items():
        sizes[name] = sum(file.lstat().st_size for file in files)
    left = [e for e in (path / EXPORTS).glob(".*") if is_leftover(e.name) and _of_ours(e.name)]
    sizes |= {f"{EXPORTS}/{name}": size for name, size in _sizes(left).items()}
    known = {name.partition("/")[0] for name in sizes}
    others = any(e.name not in known and e.name not in LOCKS for e in entries)
    busy = in_use(path) or any(map(_is_written, [*entries, *left]))
    changed = max(((path / n).lstat().st_mtime for n in _telling(sizes)), default=0.0)
    run = "run.yaml" in sizes
    adopted = path.name.startswith("given-") and "model.pt" in sizes
    # A start that was killed: half-written files or a lock, and nothing else. An empty folder, or
    # one with anything of a person's in it, is none of kd's business.
    locked = any((path / name).exists() for name in LOCKS)
    halves = all(is_leftover(Path(name).name) for name in sizes)
    begun = not others and halves and (sizes or locked)
    if not (run or adopted or begun):
        return None
    return Folder(path, _file(path) if run else None, sizes, busy, changed)


def _read_store(path: Path) -> Folder | None:
    try:
        written = [e for e in path.iterdir() if is_of_answers(e.name) or is_leftover(e.name)]
        sizes = _sizes(written)
        busy = in_use(path) or any(map(_is_written, written))
        changed = max((e.lstat().st_mtime for e in written), default=0.0)
    except OSError:
        return None
    return Folder(path, None, sizes, busy, changed) if sizes else None


def _sizes(entries: Iterable[Path]) -> dict[str, int]:
    found = {}
    for entry in entries:
        with suppress(FileNotFoundError):  # it has just become whole
            found[entry.name] = bytes_of(entry)
    return found


def _is_ours(entry: Path) -> bool:
    if is_leftover(entry.name):
        return _of_ours(entry.name)
    # whatever is called run.yaml says that a run was here
    return is_ours(entry.name) and (
        entry.name == "run.yaml" or entry.is_symlink() or entry.is_file()
    )


def _is_written(entry: Path) -> bool:
    return is_leftover(entry.name) and not is_abandoned(entry)


def _for_somebody(name: str) -> bool:
    """Made only for a person who asked, of what ships or of another of a run's models."""
    return (
        name.startswith(f"{TIMM}.")
        or name in REPORTS
        or (OF_OTHERS.fullmatch(name) is not None and not is_model(name))
    )


def _of_ours(leftover: str) -> bool:
    name = leftover[1:].rsplit(".", 2)[0].removesuffix(".former")  # `.model.pt.4711.tmp`
    exported = OF_EXPORTS.fullmatch(name) is not None or name.partition(".")[0] == TIMM
    return is_ours(name) or exported or name in ("probe", HOLDER)


def _telling(sizes: dict[str, int]) -> list[str]:
    """The files whose time is that of the run: reports and exports come later, maybe by a year."""
    for name in ("model.pt", "metrics.jsonl", "run.yaml"):
        if name in sizes:
            return [name]
    return list(sizes)


def _file(path: Path) -> RunFile | None:
    try:
        return Run(path).file()
    except KdError:
        return None
