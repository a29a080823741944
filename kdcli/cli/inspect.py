"""`kd inspect`: what a model is, as rows (`inspect_rows`), or by stable keys."""

import shlex
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdcli.cli import completion
from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import Classes, Data, Debug, Json
from kdcli.cli.inspect_rows import rows
from kdcli.cli.train import on_data, with_images_of
from kdcli.core.examples import STUDENT, TEACHER

if TYPE_CHECKING:
    from kdcli.commands.inspect import Inspected, Module
    from kdcli.evaluation.temperature import Softened


def document(found: "Inspected", look: "Callable[[], Softened] | None") -> dict[str, Any]:
    """What `kd inspect --json` prints."""
    from kdcli.cli import temperature

    return _known(found) | {"temperature": temperature.document(look()) if look else None}


def _known(found: "Inspected") -> dict[str, Any]:
    """All but the softened answers."""
    from kdcli.commands.inspect import Model, Trained

    if isinstance(found, Model):
        return {"kind": "model", "card": asdict(found.card), "module": _numbers(found.module)}
    exports = {"report": found.report.as_dict() if found.report else None}
    place = {"path": str(found.path), "file_bytes": found.file_bytes}
    if not isinstance(found, Trained):
        about = {"sha256": found.sha256, **asdict(found.description)}
        return {"kind": "onnx", **place, **about, **exports}
    file = found.loaded.file
    return {
        "kind": "run" if found.run else "file",
        **place,
        "card": asdict(found.card),
        "module": _numbers(found.module),
        "classes": list(file.classes),
        "began_pretrained": found.began_pretrained,
        "recipe_name": found.spec.recipe_name if found.spec else None,
        "recipe": file.recipe,
        "provenance": file.provenance,
        "training": found.outcome,
        "needs": found.needs,
        "licences": found.licences.model_dump(),
        "beside": [str(path) for path in found.beside],
        **exports,
    }


def _numbers(module: "Module") -> dict[str, Any]:
    """FLOPs are twice the MACs."""
    flops = None if module.macs is None else 2 * module.macs
    return {
        "class": module.kind,
        "params": module.params,
        "macs": module.macs,
        "flops": flops,
        "args": module.args.as_dict(),
    }


def inspect(
    thing: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|RUN|FILE",
            help="timm's name, a family's, a run folder, a model.pt, an .onnx file, NAME=FILE or "
            "local-dir:FOLDER.",
            autocompletion=completion.things,
        ),
    ],
    data: Data = None,
    classes: Classes = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """What a model is: costs, classes, licence, history, and its answers softened."""
    with door(json) as console:
        from kdcli.commands.inspect import inspect
        from kdcli.commands.temperature import prepare

        found = inspect(thing, console, data, classes)
        look = prepare(found, data, console)
        show = partial(show_inspected, look=look, data=data)
        console.show(found, partial(document, look=look), show)


LARGE = 10_000_000
"""Parameters above which a model is no student in that example."""


def show_inspected(
    console: Console, found: "Inspected", look: "Callable[[], Softened] | None", data: str | None
) -> None:
    """`kd inspect`; `look` takes its time, so what is known already is shown before. `data` is
    where they lie now."""
    from kdcli.cli.temperature import show_softened

    shown, warning = rows(found)
    console.table(["", _title(found)], shown, figures=False)
    if warning:
        console.warn(warning)
    if look:
        show_softened(console, look())
    console.next(*_next(found, data))


def _title(found: "Inspected") -> str:
    return found.card.name if hasattr(found, "card") else str(found.path)


def _next(found: "Inspected", data: str | None) -> list[str]:
    from kdcli.commands.inspect import Model, Trained

    if isinstance(found, Model):
        large = found.module.params > LARGE
        pair = (found.card.name, STUDENT) if large else (TEACHER, found.card.name)
        return ["kd distill --teacher {} --student {} --data DIR".format(*pair)]
    if not isinstance(found, Trained):
        return []
    place = found.path.parent if found.ships else found.path
    thing = shlex.quote(found.spelled or str(place))
    if found.run and found.role == "teacher":
        spec = found.run.spec
        more = "".join(f" {word}" for word in map(shlex.quote, with_images_of(spec, None)))
        on = on_data(data or spec.data.location)
        return [f"kd distill --teacher {thing} --student {STUDENT}{more}{on}"]
    size = f" --size {found.module.args.input_size}" if found.source else ""
    return [f"kd export {thing}{size}"]
