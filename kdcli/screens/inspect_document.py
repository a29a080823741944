"""`kd inspect --json`: everything, by stable keys."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdcli.commands.inspect import Inspected, Module


def document(found: "Inspected") -> dict[str, Any]:
    """What `kd inspect --json` prints, but for the softened answers."""
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
