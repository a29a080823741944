"""`kd list` and `kd recipe show`: what there is, as tables."""

import json
from typing import TYPE_CHECKING

from kdcli.console import Console

if TYPE_CHECKING:
    from kdcli.commands.recipe import Setting
    from kdcli.runs import Run


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
