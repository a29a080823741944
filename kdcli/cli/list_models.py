"""`kd list models`: what fits, and which limit left out how many."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import Debug, Json
from kdcli.core.examples import TEACHER
from kdcli.core.text import scaled, short

if TYPE_CHECKING:
    from kdcli.plan.fitting_students import Candidate, Found

FEWER = "kd list models --max-params 5e6 --max-ms 10"
"""What to type next where nothing limits the list."""


def show_models(console: Console, found: "Found") -> None:
    """`kd list models`."""
    timed = any(c.latency_ms for c in found.candidates)
    if found.candidates:
        console.table(_heads(timed), [_row(c, timed) for c in found.candidates])
    for candidate in found.candidates:
        if candidate.note:
            console.line(f"- {candidate.name}: {candidate.note}")
    console.line(_summary(found))
    if timed:
        console.line(
            f"ms: one image in onnxruntime, 1 thread, {found.machine}; kept in {found.kept_in}"
        )
    if found.best:
        console.next(f"kd distill --teacher {TEACHER} --student {found.best} --data DIR")
    elif found.candidates:
        console.next(FEWER)


def _document(found: "Found") -> dict[str, object]:
    return {
        "limits": asdict(found.limits),
        "considered": found.considered,
        "excluded": found.excluded,
        "machine": found.machine,
        "best": found.best,
        "models": [asdict(candidate) for candidate in found.candidates],
    }


def _heads(timed: bool) -> list[str]:
    times = ["ms p50", "ms p90"] if timed else []
    return ["model", "px", "params", "MACs", *times, "weights' licence"]


def _row(candidate: "Candidate", timed: bool) -> list[str]:
    ms = candidate.latency_ms
    times = ([f"{ms.p50:.2f}", f"{ms.p90:.2f}"] if ms else ["-", "-"]) if timed else []
    return [
        candidate.name,
        str(candidate.input_size),
        short(candidate.params),
        "-" if candidate.macs is None else short(candidate.macs),
        *times,
        (candidate.licence or "unknown") if candidate.pretrained else "no weights",
    ]


def _summary(found: "Found") -> str:
    """`17 of 86 models fit; left out: 63 by --max-params 5 M, 6 by --max-ms 10`."""
    limits = found.limits
    flags = {
        "pretrained": "--pretrained",
        "size": f"--size {limits.size} (they take no such image)",
        "max_params": f"--max-params {_round(limits.max_params)}",
        "max_macs": f"--max-macs {_round(limits.max_macs)}",
        "max_ms": f"--max-ms {_round(limits.max_ms)}",
    }
    out = ", ".join(f"{count} by {flags[key]}" for key, count in found.excluded.items() if count)
    fit = f"{len(found.candidates) or 'none'} of {found.considered} models"
    counted = "; params are those of a head for 1,000 classes" if found.candidates else ""
    left_out = f"; left out: {out}" if out else ""
    return f"{fit}{' left' if out else ''}{counted}{left_out}"


def _round(limit: float | None) -> str:
    """As a person would type it: `5M`, `0.4`."""
    number, letter = scaled(limit or 0.0)
    return f"{number:g}{letter}"


def list_models(
    max_ms: Annotated[
        str | None,
        typer.Option(
            metavar="MS",
            help="Milliseconds of one image in onnxruntime, one thread, here: measured for what "
            "keeps to the other limits.",
        ),
    ] = None,
    max_params: Annotated[
        str | None, typer.Option(metavar="N", help="Weights, as in 5e6 or 5M.")
    ] = None,
    max_macs: Annotated[
        str | None, typer.Option(metavar="N", help="Multiply-accumulates of one image, as in 300M.")
    ] = None,
    size: Annotated[int, typer.Option(min=8, max=1024, help="Pixels of a side.")] = 224,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Only models that timm has weights for.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="All of timm; default: families for small devices.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Which students fit: parameters, MACs, latency on this machine, licence of the weights."""
    with door(json) as console:
        from kdcli.plan.fitting_students import Limits, list_models, parse_count, parse_ms

        limits = Limits(
            max_params=parse_count("--max-params", max_params),
            max_macs=parse_count("--max-macs", max_macs),
            max_ms=parse_ms(max_ms),
            pretrained=pretrained,
            size=size,
            all=everything,
        )
        console.show(list_models(limits, console), _document, show_models)
