"""What each command prints: its result as a table or JSON document, then what to type next."""

import json
import shlex
from typing import TYPE_CHECKING, Any

from kdcli.console import Console, error_document

if TYPE_CHECKING:
    from kdcli.commands.evaluate import Evaluated
    from kdcli.commands.export import Exported
    from kdcli.commands.gates import Checked
    from kdcli.commands.recipe import Setting
    from kdcli.commands.train import Trained
    from kdcli.runs import Run


def trained(console: Console, result: "Trained") -> None:
    """After `kd train` and `kd distill`."""
    from kdcli.commands.plan import NO_DATA
    from kdcli.runs import Run

    spec, outcome = result.run.spec, result.outcome
    rows = [("student" if spec.teachers else "model", result.run)]
    rows += [("teacher", Run(need.path.parent)) for need in result.run.needs().values()]
    if console.as_json:
        console.document(
            {
                "run": str(result.run.path),
                "model": str(result.run.model),
                "reused": result.reused,
                "name": spec.model,
                "data": {"name": spec.data.name, "is_default": int(spec.data.location is None)},
                "training": outcome,
            }
        )
        return
    console.table(
        ["", "model", "validation accuracy", "best epoch", "trained", "ended"],
        [_trained_row(role, run) for role, run in rows],
    )
    console.line(f"run: {result.run.path}")
    if spec.data.location is None:
        console.line(NO_DATA)
    run = shlex.quote(str(result.run.path))
    if spec.teachers:
        console.next(f"kd evaluate {run}", f"kd export {run}")
    else:
        console.next(f"kd distill --teacher {run} --student mobilenetv3", f"kd evaluate {run}")


def _trained_row(role: str, run: "Run") -> list[str]:
    if not (end := run.outcome()):
        return [role, str(run.path), "-", "-", "-", "given"]
    best = f"{end['best_epoch']} of {end['epochs']}"
    seconds = f"{end['seconds']:.0f} s"
    return [role, run.spec.model, f"{end['val_accuracy']:.4f}", best, seconds, end["ended"]]


def evaluated(console: Console, result: "Evaluated") -> None:
    """After `kd evaluate`."""
    run = shlex.quote(str(result.run.path))
    _report(console, result.report, result.gates, {"run": str(result.run.path)})
    if not console.as_json:
        console.line(f"report: {result.run.path / 'report.md'}")
        console.next(f"kd export {run}")


def exported(console: Console, result: "Exported") -> None:
    """After `kd export`."""
    _report(console, result.report, result.gates, {"file": str(result.path)})
    if console.as_json:
        return
    entry = (result.report.exports or [])[-1]
    parity = entry.parity
    on = "made-up" if parity.synthetic else "test"
    console.line(
        f"ONNX: {result.path} ({entry.bytes:,} bytes, opset {entry.opset}); max |difference| to "
        f"PyTorch {parity.max_abs:.1e}, top-1 changed on {parity.top1_changed} of "
        f"{parity.images} {on} images"
    )
    if entry.accuracy is not None:
        console.line(f"test accuracy of the ONNX file: {entry.accuracy:.4f}")
    console.line(f"report: {result.place.with_suffix('.md')}")
    if parity.synthetic:
        return
    run = shlex.quote(str(result.place.parent))
    gates = " --min student.accuracy=0.95 --min comparison.gain_ci95.low=-0.01"
    console.next(f"kd evaluate {run}{gates if result.report.comparison else ''}")


def _report(console: Console, report: Any, gates: "list[Checked]", more: dict[str, Any]) -> None:
    from kdcli.commands.drawing import figures, roles, table
    from kdcli.commands.gates import missed

    failure = missed(gates)
    if console.as_json:
        content = report.as_dict() | more | {"gates": [gate.as_dict() for gate in gates]}
        console.document(content | ({"error": error_document(failure)} if failure else {}))
        return
    console.table(["", *roles(report)], table(report))
    for line in [*figures(report), *report.notes]:
        console.line(f"- {line}")
    if report.verdict:
        console.line()
        console.line(report.verdict)
    if gates:
        console.table(
            ["gate", "limit", "value", ""],
            [
                [
                    f"{g.gate.kind} {g.gate.key}",
                    f"{g.gate.limit:g}",
                    "null" if g.value is None else f"{g.value:.6g}",
                    "passed" if g.passed else "MISSED",
                ]
                for g in gates
            ],
        )


def runs(console: Console, found: "list[Run]") -> None:
    """`kd list runs`."""
    rows = [(run, run.outcome()) for run in found]
    if console.as_json:
        documents = [
            {"run": str(r.path), "asked": r.asked, "finished": r.finished, "training": o}
            for r, o in rows
        ]
        console.document({"runs": documents})
        return
    if not rows:
        console.line("no runs yet")
        console.next("kd distill --teacher resnet101 --student mobilenetv3")
        return
    console.table(
        ["run", "validation accuracy", "state"],
        [
            [
                str(run.path),
                f"{end['val_accuracy']:.4f}" if end else "-",
                "finished" if run.finished else "unfinished",
            ]
            for run, end in rows
        ],
    )
    console.next("kd evaluate RUN", "kd export RUN")


def recipes(console: Console, found: dict[str, str]) -> None:
    """`kd list recipes`."""
    if console.as_json:
        console.document({"recipes": found})
        return
    console.table(["recipe", ""], list(found.items()), figures=False)
    console.next("kd recipe show kd")


def settings(console: Console, found: "list[Setting]") -> None:
    """`kd recipe show`."""
    if console.as_json:
        console.document({"settings": {s.key: {"value": s.value, "from": s.origin} for s in found}})
        return
    rows = [
        [s.key, s.value if isinstance(s.value, str) else json.dumps(s.value), s.origin]
        for s in found
    ]
    console.table(["key", "value", "from"], rows, figures=False)
    console.next("kd distill --teacher resnet101 --student mobilenetv3 --set KEY=VALUE")
