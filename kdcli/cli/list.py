"""`kd list`: what there is, as tables; models have `list_models`."""

import shlex
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import Debug, Json
from kdcli.core.examples import STUDENT, TEACHER
from kdcli.core.text import size_in_words

if TYPE_CHECKING:
    from kdcli.commands.list import MethodPart, SchemePart
    from kdcli.runs.inventory import Folder
    from kdcli.runs.prune import Disposable


def show_runs(console: Console, found: "list[Folder]") -> None:
    """`kd list runs`."""
    if not found:
        console.line("no runs yet")
        console.next(f"kd distill --teacher {TEACHER} --student {STUDENT}")
        return
    heads = ["run", "role", "state", "validation accuracy", "size", "date"]
    console.table(heads, [_run_row(folder, found) for folder in found])
    total = size_in_words(sum(folder.bytes for folder in found))
    console.line(f"{total} in all; * = a person asked for it, the others came with one")
    asked = [folder.path for folder in found if folder.asked and folder.state == "finished"]
    verbs = [f"kd {verb} {shlex.quote(str(asked[-1]))}" for verb in ("evaluate", "export") if asked]
    console.next(*verbs, "kd list runs --prune")


def show_disposable(
    console: Console, items: "list[Disposable]", busy: "list[Folder]", expected: "list[Folder]"
) -> None:
    """`kd list runs --prune`: what would go; and what stays though no run here needs it."""
    from kdcli.core.text import some
    from kdcli.runs.prune import STALE_DAYS

    for folder in busy:
        console.say(f"{folder.path}: another kd is working in it; until it is done, runs stay")
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
            console.line(f"{item.path}: stays, it holds files that are not kd's")
    console.next("kd list runs")


def _runs_document(found: "list[Folder]") -> dict[str, Any]:
    from kdcli.runs.run import Run

    runs = [
        {
            "run": str(folder.path),
            "asked": folder.asked,
            "finished": folder.finished,
            "role": folder.role,
            "state": folder.state,
            "bytes": folder.bytes,
            "date": _date(folder).isoformat(timespec="seconds"),
            "training": Run(folder.path).outcome(),
        }
        for folder in found
        if not folder.is_store
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
    return [run for run in found if store.path.resolve() in run.needs]


def _run_row(folder: "Folder", found: "list[Folder]") -> list[str]:
    from kdcli.core.text import counted
    from kdcli.runs.run import Run

    end = Run(folder.path).outcome()
    state = f"used by {counted(len(_users(folder, found)), 'run')}"
    return [
        str(folder.path),
        f"{folder.role} *" if folder.asked else folder.role,
        state if folder.is_store else folder.state,
        f"{end['val_accuracy']:.4f}" if end else "-",
        size_in_words(folder.bytes),
        _date(folder).strftime("%Y-%m-%d %H:%M"),
    ]


def _date(folder: "Folder") -> datetime:
    return datetime.fromtimestamp(folder.changed).astimezone()


def show_recipes(console: Console, found: dict[str, str]) -> None:
    """`kd list recipes`."""
    console.table(["recipe", ""], list(found.items()), figures=False)
    console.next("kd recipe show kd")


def show_methods(console: Console, found: "list[MethodPart]") -> None:
    """`kd list methods`."""
    rows = [
        [
            part.name,
            part.paper,
            part.kind,
            part.needs_in_words(),
            part.weight_in_words(),
        ]
        for part in found
    ]
    console.table(["method", "paper", "knowledge", "needs", "weight"], rows, figures=False)
    console.line("weight: beside a weight of 1 for the labels, where a recipe does not say")
    console.next(
        f"kd distill --teacher {TEACHER} --student {STUDENT} --set methods.METHOD.weight=WEIGHT"
    )


def show_schemes(console: Console, found: "list[SchemePart]") -> None:
    """`kd list schemes`."""
    rows = [
        [
            ", ".join((part.name, *part.also_called)),
            part.what,
            part.taught_by(),
            ", ".join(option.name for option in part.options) or "-",
        ]
        for part in found
    ]
    console.table(["scheme", "who imitates whom", "taught by", "options"], rows, figures=False)
    console.next("kd list recipes", "kd recipe show average")


def list_recipes(json: Json = False, debug: Debug = False) -> None:
    """The shipped recipes."""
    with door(json) as console:
        from kdcli.recipe.load import describe_recipe, recipe_names

        found = {name: describe_recipe(name) for name in recipe_names()}
        console.show(found, lambda it: {"recipes": it}, show_recipes)


def list_methods(json: Json = False, debug: Debug = False) -> None:
    """Ways to score an imitation: paper, kind of knowledge, what each needs, default weight."""
    with door(json) as console:
        from kdcli.commands.list import methods

        console.show(methods(), lambda it: {"methods": list(map(asdict, it))}, show_methods)


def list_schemes(json: Json = False, debug: Debug = False) -> None:
    """Who imitates whom: the schemes a recipe can name, and their options."""
    with door(json) as console:
        from kdcli.commands.list import schemes

        console.show(schemes(), lambda it: {"schemes": list(map(asdict, it))}, show_schemes)


def list_runs(
    prune: Annotated[
        bool, typer.Option("--prune", help="Show what no finished run needs, and remove it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --prune: do not ask.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """The runs under runs/ (or $KD_RUNS), oldest first, with their size; --prune clears up."""
    with door(json) as console:
        from kdcli.runs.inventory import inventory

        found = inventory()
        if not prune:
            console.show(found, _runs_document, show_runs)
            return
        from kdcli.runs.prune import disposable, expected, remove

        items = disposable(found)
        if not json:
            busy = [folder for folder in found if folder.in_use]
            show_disposable(console, items, busy, expected(found))
        agreed = True if yes else console.confirm("Remove all of this?") if items else None
        gone = []
        for item in remove(items) if agreed else ():
            console.say(f"removed {item.path}")
            gone.append(item)
        pruned = Pruned(items, gone, agreed)
        console.show(pruned, lambda it: {"prune": it.as_dict()}, show_pruned)
