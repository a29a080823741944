"""`kd list runs`: what lies under runs/, what came of it, and what may go."""

import shlex
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import Debug, Json
from kdcli.core.examples import STUDENT, TEACHER
from kdcli.core.text import short, size_in_words
from kdcli.report.choices import RunsBy

if TYPE_CHECKING:
    from kdcli.commands.list_runs import Listed
    from kdcli.runs.inventory import Folder
    from kdcli.runs.prune import Disposable


HEADS = (
    *("run", "role", "state", "validation", "test", "verdict"),
    *("parameters", "file", "ms", "disk", "date"),
)


def show_runs(console: Console, listed: "list[Listed]") -> None:
    """`kd list runs`."""
    found = [one.folder for one in listed]
    if not found:
        console.line("no runs yet")
        console.next(f"kd distill --teacher {TEACHER} --student {STUDENT}")
        return
    rows = [_run_row(one, found) for one in listed]
    kept = [i for i in range(len(HEADS)) if i < 3 or any(row[i] != "-" for row in rows)]
    console.table([HEADS[i] for i in kept], [[row[i] for i in kept] for row in rows])
    total = size_in_words(sum(folder.bytes for folder in found))
    console.line(f"{total} in all; * = a person asked for it, the others came with one")
    for one in listed:
        for what in one.damaged:
            console.warn(what)
    asked = [folder for folder in found if folder.asked and folder.state == "finished"]
    newest = max(reversed(asked), key=lambda folder: folder.changed, default=None)
    verbs = [
        f"kd {verb} {shlex.quote(str(newest.path))}" for verb in ("evaluate", "export") if newest
    ]
    console.next(*verbs, "kd list runs --prune")


_CLOSED = "may not be read; until it may, and says what it needs"


def show_disposable(
    console: Console, items: "list[Disposable]", busy: "list[Folder]", expected: "list[Folder]"
) -> None:
    """`kd list runs --prune`: what would go; and what stays though no run here needs it."""
    from kdcli.core.text import some
    from kdcli.runs.prune import STALE_DAYS

    for folder in busy:
        why = "another kd is working in it; until it is done" if folder.in_use else _CLOSED
        console.say(f"{folder.path}: {why}, runs stay")
    if expected:
        console.say(
            f"{some([str(one.path) for one in expected], 3)}: made in the last {STALE_DAYS} days, "
            "maybe for a run that is still to come; stays"
        )
    if items:
        rows = [[str(item.path), size_in_words(item.bytes), item.why] for item in items]
        console.table(["no longer needed", "size", "why"], rows, figures=False)
        if any("needs" in item.why for item in items):
            console.line("a run made elsewhere with --out is not seen from here, nor what it needs")
    else:
        console.line(
            "nothing to remove: every run here was asked for, is needed by such a one, or was "
            "made or interrupted in the last days"
        )


class Pruned(NamedTuple):
    """What `kd list runs --prune` would remove, and what of it went."""

    items: "list[Disposable]"
    gone: "list[Disposable]"
    agreed: bool | None
    """None where nobody could be asked."""

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        rows = [
            {"path": str(i.path), "bytes": i.bytes, "why": i.why, "removed": i in self.gone}
            for i in self.items
        ]
        total = sum(item.bytes for item in self.items)
        return {"done": bool(self.agreed), "bytes": total, "items": rows}


def show_pruned(console: Console, found: Pruned) -> None:
    """`kd list runs --prune`: what went."""
    items, gone, agreed = found
    if not items:
        return
    if not agreed:
        asked = "nobody here to ask: " if agreed is None else ""
        console.line(f"{asked}nothing was removed; kd list runs --prune --yes does it unasked")
        return
    console.line(f"removed: {len(gone)}, {size_in_words(sum(item.bytes for item in gone))}")
    for item in gone:
        if item.path.exists():
            console.line(f"{item.path}: kd's files are gone; those that are not kd's stay in it")
    console.next("kd list runs")


def _runs_document(listed: "list[Listed]") -> dict[str, Any]:
    found = [one.folder for one in listed]
    runs = [
        {
            "run": str(one.folder.path),
            "asked": one.folder.asked,
            "finished": one.folder.finished,
            "role": one.folder.role,
            "state": one.folder.state,
            "bytes": one.folder.bytes,
            "date": _date(one.folder).isoformat(timespec="seconds"),
            "training": one.training,
            **one.facts,
            "damaged": list(one.damaged),
        }
        for one in listed
        if not one.folder.is_store
    ]
    stores = [
        {
            "store": str(folder.path),
            "bytes": folder.bytes,
            "date": _date(folder).isoformat(timespec="seconds"),
            "used_by": [str(run.path) for run in _users(folder, found)],
        }
        for folder in found
        if folder.is_store
    ]
    return {"runs": runs, "answers": stores}


def _users(store: "Folder", found: "list[Folder]") -> "list[Folder]":
    """Runs whose teachers were looked up there."""
    from kdcli.runs.inventory import real

    return [run for run in found if real(store.path) in run.needs]


def _run_row(one: "Listed", found: "list[Folder]") -> list[str]:
    """Below HEADS."""
    from kdcli.core.text import counted

    folder = one.folder
    state = f"used by {counted(len(_users(folder, found)), 'run')}"
    return [
        str(folder.path),
        f"{folder.role} *" if folder.asked else folder.role,
        state if folder.is_store else folder.state,
        "-" if one.val_accuracy is None else f"{one.val_accuracy:.4f}",
        "-" if one.test_accuracy is None else f"{one.test_accuracy:.4f}",
        one.verdict_code or "-",
        "-" if one.params is None else short(one.params),
        "-" if one.file_bytes is None else size_in_words(one.file_bytes),
        "-" if one.latency_ms is None else f"{one.latency_ms:.2f}",
        size_in_words(folder.bytes),
        _date(folder).strftime("%Y-%m-%d %H:%M"),
    ]


def _date(folder: "Folder") -> datetime:
    return datetime.fromtimestamp(folder.changed).astimezone()


def list_runs(
    prune: Annotated[
        bool, typer.Option("--prune", help="Show what no finished run needs, and remove it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --prune: do not ask.")] = False,
    sort: Annotated[
        RunsBy,
        typer.Option(help="The best first, or the smallest, the fastest; unknown ones last."),
    ] = "date",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """The runs under runs/ (or $KD_RUNS), oldest first: accuracies, verdict, size, milliseconds,
    as far as they are known; --prune clears up."""
    with door(json) as console:
        if not prune:
            from kdcli.commands.list_runs import list_runs

            console.show(list_runs(sort), _runs_document, show_runs)
            return
        from kdcli.runs.inventory import inventory
        from kdcli.runs.prune import disposable, expected, remove

        found = inventory()
        items = disposable(found)
        if not json:
            busy = [folder for folder in found if folder.in_use or not folder.is_open]
            show_disposable(console, items, busy, expected(found))
        agreed = True if yes else console.confirm("Remove all of this?") if items else None
        gone = []
        for item in remove(items) if agreed else ():
            console.say(f"removed {item.path}")
            gone.append(item)
        pruned = Pruned(items, gone, agreed)
        console.show(pruned, lambda it: {"prune": it.as_dict()}, show_pruned)
