"""After `kd train` and `kd distill`: how the run and its teachers did."""

import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from kdcli.console import Console

if TYPE_CHECKING:
    from kdcli.commands.forecast import Forecast
    from kdcli.commands.terms import TermPart
    from kdcli.commands.train import Trained
    from kdcli.runs import Run


def planned(console: Console, forecast: "Forecast") -> None:
    """After `--dry-run`."""
    if console.as_json:
        console.document({"plan": forecast.as_dict()})
        return
    plan, *shorter = forecast.lines()
    console.line(plan)
    for line in shorter:
        console.line(f"shorter: {line}")
    console.next("the same command without --dry-run")


def trained(console: Console, result: "Trained") -> None:
    """After `kd train` and `kd distill`."""
    from kdcli.commands.plan import NO_DATA
    from kdcli.commands.terms import terms_of
    from kdcli.runs import Run

    spec, outcome = result.run.spec, result.outcome
    rows = [("student" if spec.teachers else "model", result.run)]
    rows += [("teacher", Run(_short(need.path.parent))) for need in result.run.needs().values()]
    terms = terms_of(result.run)
    if console.as_json:
        shares = {"terms": [asdict(part) for part in terms]} if terms else {}
        console.document(
            {
                "run": str(result.run.path),
                "model": str(result.run.model),
                "reused": result.reused,
                "name": spec.model,
                "data": {"name": spec.data.name, "is_default": int(spec.data.location is None)},
                "training": outcome,
            }
            | shares
        )
        return
    console.table(
        ["", "model", "validation accuracy", "best epoch", "trained", "ended"],
        [_trained_row(role, run) for role, run in rows],
    )
    if terms:
        heads = ["term, last epoch", "weight", "loss", "share of loss", "share of gradient"]
        console.table(heads, [_term_row(part) for part in terms])
    console.line(f"run: {result.run.path}")
    if spec.data.location is None:
        console.line(NO_DATA)
    run = shlex.quote(str(result.run.path))
    if spec.teachers:
        console.next(f"kd evaluate {run}", f"kd export {run}")
    else:
        on = on_data(spec.data.location)
        console.next(f"kd distill --teacher {run} --student mobilenetv3{on}", f"kd evaluate {run}")


def on_data(name: str | None) -> str:
    """The end of a command on these data; nothing for the built-in default."""
    return f" --data {shlex.quote(name)}" if name else ""


def _short(folder: Path) -> Path:
    """`runs/given-...` for `runs/kd-.../../given-...`."""
    return Path(os.path.normpath(folder))


def _trained_row(role: str, run: "Run") -> list[str]:
    if not (end := run.outcome()):
        return [role, str(run.path), "-", "-", "-", "given"]
    best = f"{end['best_epoch']} of {end['epochs']}"
    seconds = f"{end['seconds']:.0f} s"
    return [role, run.spec.model, f"{end['val_accuracy']:.4f}", best, seconds, end["ended"]]


def _term_row(part: "TermPart") -> list[str]:
    shares = (part.share_of_loss, part.share_of_gradient)
    shown = ("-" if share is None else f"{share:.1%}" for share in shares)
    return [part.term, f"{part.weight:.4g}", f"{part.loss:.4g}", *shown]
