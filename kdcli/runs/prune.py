"""`kd list runs --prune`: what no finished run needs is found, shown, and removed.

`disposable` decides, without touching a disk; whatever it is not sure of stays.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kdcli.core.files import disk_errors
from kdcli.core.lock import lock
from kdcli.core.unfinished import is_leftover, remove_abandoned
from kdcli.runs.baseline import controls_of
from kdcli.runs.find import answers_root
from kdcli.runs.inventory import Folder, inventory, real
from kdcli.runs.layout import EXPORTS, OF_TRIALS, STATES, TRIED, is_model, is_of_answers, is_ours
from kdcli.runs.spec import Spec

STALE_DAYS = 7
"""For so long a training that was interrupted is expected to go on."""

_LEFT = {  # a kill between model.pt and the last lines of a training leaves the first of them
    "state.pt": "resume state of a finished run",
    "state.former.pt": "resume state of a finished run",
    "transfer.npz": "what teachers answered to a student that is finished",
}
"""What no command reads any more once a run is finished."""
_HALF = "half-written by a kd that was killed"


@dataclass(frozen=True)
class Disposable:
    """A run's folder, or a file in one, that nobody needs."""

    path: Path
    bytes: int
    why: str


def disposable(folders: list[Folder]) -> list[Disposable]:
    """What may go: nothing that a person asked for, or that what they asked for needs, and nothing
    that was interrupted lately: the command that began it is about to go on. Nor, for the same
    reason, a teacher, assistant, generation or baseline that was finished lately: a student's run
    begins when the last of its teachers is done.

    Folders in which another kd works or writes are left alone; while there is one, no folder goes
    at all: its chain may be about to need it. Nor while there is one that cannot be looked into.
    """
    busy = any(folder.in_use or not folder.is_open for folder in folders)
    kept = _with_needs([*_wanted(folders), *filter(_made_lately, folders)], folders)
    found: list[Disposable] = []
    for folder in folders:
        if folder.in_use:
            continue
        if is_leaving(folder.path.name):  # nobody needs these, whoever works elsewhere
            found.append(Disposable(folder.path, folder.bytes, _HALF))
        elif folder.path in kept or busy:
            found += _leftovers(folder)
        else:
            found.append(Disposable(folder.path, folder.bytes, _why(folder)))
    return found


def expected(folders: list[Folder]) -> list[Folder]:
    """Those that stay only because they were finished lately: no run here needs them yet."""
    needed = _with_needs(_wanted(folders), folders)
    return [one for one in folders if _made_lately(one) and one.path not in needed]


def remove(items: Iterable[Disposable]) -> Iterator[Disposable]:
    """Remove what is still disposable of `items`; hands out each that is gone.

    Looked up again: a person may think for a day before saying yes, and begin a run that needs one
    of them meanwhile. Of a folder, what kd wrote goes; a person's own files stay, and their folder
    with them.

    Raises:
        InUse: another kd has begun to work in one of them.
        DiskError: the system does not let it go.
    """
    now = {item.path for item in disposable(inventory())}
    for item in items:
        if item.path in now:
            _remove(item.path)
            yield item


def is_leaving(name: str) -> bool:
    """Whether a folder of this name is what a killed plan left."""
    return is_leftover(name) or OF_TRIALS.fullmatch(name) is not None


def _remove(path: Path) -> None:
    if is_leftover(path.name):  # nobody writes on it, or it stays
        with disk_errors(path):
            remove_abandoned(path)
        return
    folder = path if path.is_dir() else path.parent
    ours = is_of_answers if folder.parent == answers_root() else is_ours
    trial = OF_TRIALS.fullmatch(folder.name) is not None
    with lock(folder), disk_errors(path):  # leaving, the lock removes a folder that is empty
        for entry in list(folder.iterdir()) if path == folder else [path]:
            if is_leftover(entry.name):
                remove_abandoned(entry)
            elif entry == path or ours(entry.name) or (trial and entry.name == TRIED):
                entry.unlink(missing_ok=True)
            elif entry.name == EXPORTS and entry.is_dir():
                _clear_killed_exports(entry)


def _clear_killed_exports(folder: Path) -> None:
    for entry in list(folder.iterdir()):
        if is_leftover(entry.name):
            remove_abandoned(entry)
    with suppress(OSError):  # a person's own files stay
        folder.rmdir()


def _wanted(folders: list[Folder]) -> list[Folder]:
    """What a person asked for or works on, and what nobody can tell: a newer kd's, maybe."""
    return [
        one
        for one in folders
        if one.asked
        or one.state in ("in use", "unreadable")
        or (_resumable(one) and not _stale(one))
    ]


def _with_needs(wanted: list[Folder], folders: list[Folder]) -> set[Path]:
    """These, and all that they need, teachers' teachers included.

    By what each offers, so that a chain of a thousand members takes a thousand steps. A name is
    taken out when it is first wanted: whoever offers it is on the way already.
    """
    offered: dict[object, list[Folder]] = {}
    for folder in folders:
        for name in _offers(folder):
            offered.setdefault(name, []).append(folder)
    todo, found = list(wanted), set[Path]()
    while todo:
        folder = todo.pop()
        if folder.path not in found:
            found.add(folder.path)
            todo += [one for want in _wants(folder) for one in offered.pop(want, [])]
    return found


def _resumable(folder: Folder) -> bool:
    return folder.state == "unfinished" and not folder.sizes.keys().isdisjoint(STATES)


def _made_lately(folder: Folder) -> bool:
    """A finished prerequisite, whose run may be still to come."""
    before = folder.role in ("teacher", "assistant", "generation", "baseline")
    return before and folder.state == "finished" and not _stale(folder)


def _stale(folder: Folder) -> bool:
    return time.time() - folder.changed > STALE_DAYS * 86400


def _offers(folder: Folder) -> Iterator[object]:
    """What others may know it by: its models, its digest, and all seeds of its kind; of teachers'
    answers their folder."""
    if folder.is_store:
        yield real(folder.path)
    # model.pt also where it is not there: --again may be making anew what another run names
    for name in {"model.pt", *filter(is_model, folder.sizes)}:
        yield real(folder.path / name)
    if folder.file:
        yield folder.file.spec.digest
        yield _of_any_seed(folder.file.spec)


def _wants(folder: Folder) -> Iterator[object]:
    """Its teachers and what it is compared with; of what was asked for, also the further seeds."""
    # by path and by digest: of an unfinished run needs.json may not be written yet
    yield from folder.needs
    if folder.file is None:
        return
    spec = folder.file.spec
    yield from (member.spec.digest for member in spec.members if member.spec)
    yield from (one.digest for one in controls_of(spec).values())
    if folder.asked:
        yield _of_any_seed(spec)


def _of_any_seed(spec: Spec) -> tuple[str, str]:
    return ("any seed", spec.kind)


def _leftovers(folder: Folder) -> Iterator[Disposable]:
    """Files that nobody needs in a folder that stays."""
    for name, size in folder.sizes.items():
        if name in _LEFT and folder.state == "finished":
            yield Disposable(folder.path / name, size, _LEFT[name])
        elif is_leftover(Path(name).name):
            yield Disposable(folder.path / name, size, _HALF)


def _why(folder: Folder) -> str:
    if folder.state == "empty":
        return "a start that came to nothing"
    if folder.state == "given":
        return "an adopted teacher that no run here needs"
    if folder.is_store:
        return "teachers' answers that no run here needs"
    what = f"unfinished {folder.role}" if folder.state == "unfinished" else folder.role
    age = f", untouched for {STALE_DAYS} days" if _resumable(folder) else ""
    article = "an" if what[0] in "aeiou" else "a"
    return f"{article} {what} that nobody asked for and no run here needs{age}"
