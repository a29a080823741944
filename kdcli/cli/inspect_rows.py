"""`kd inspect`: what a thing is, then what temperature does to its answers."""

from typing import TYPE_CHECKING, Any

from kdcli.core.json_text import from_json
from kdcli.core.text import short

if TYPE_CHECKING:
    from kdcli.commands.inspect import Inspected, Model, Module, Onnx, Trained
    from kdcli.models.cards import Card
    from kdcli.models.model_args import ModelArgs

Rows = list[tuple[str, str]]
_ENDS = {
    "epochs": "all done",
    "converged": "stopped: converged",
    "satisfactory": "stopped: good enough",
}
_NAMES = 12
"""Names of classes on one line."""
_TAGS = 5
"""Other weights on one line."""


def rows(found: "Inspected") -> tuple[Rows, str | None]:
    """What is shown, and what should not be missed."""
    from kdcli.commands.inspect import Model, Trained

    if isinstance(found, Model):
        weights = found.card.weights
        return _of_model(found), weights.licence_warning if weights else None
    return _of_trained(found) if isinstance(found, Trained) else _of_onnx(found), None


# A name ----------------------------------------------------------------------------------------


def _of_model(found: "Model") -> Rows:
    return [
        ("architecture", f"{found.module.kind}, of timm's {found.card.family}"),
        *_input(found.card, found.module),
        *_costs(found.module),
        *_weights(found.card),
    ]


def _input(card: "Card", module: "Module") -> Rows:
    fixed = ", and no other" if card.fixed_input_size and not module.args.img_size else ""
    return [
        ("input", f"{module.args.input_size} x {module.args.input_size} px RGB{fixed}"),
        ("mean, std", _mean_std(module)),
        ("tested with", f"the central {card.crop_share:.1%} of a side, {card.interpolation}"),
    ]


def _mean_std(module: "Module") -> str:
    mean, std = (" ".join(f"{v:.4g}" for v in vs) for vs in (module.args.mean, module.args.std))
    return f"{mean}, {std} (of pixels in 0 to 1)"


def _costs(module: "Module") -> Rows:
    macs, px = module.macs, module.args.input_size
    counted = f"{short(macs)} = {short(2 * macs)} FLOPs" if macs else "not countable"
    return [
        ("parameters", f"{short(module.params)} ({module.params:,}), {_heads(module.args)}"),
        ("MACs", f"{counted}, one image of {px} px"),
    ]


def _heads(args: "ModelArgs") -> str:
    if args.peers:
        return f"one answer of {args.num_classes:,} classes over {args.words}"
    kind, members = ("heads", args.heads) if args.copies == 1 else ("copies", args.copies)
    if args.exit is not None:
        return f"with an early exit of {args.num_classes:,} classes, at stage {args.exit}"
    if members == 1:
        return f"with a head of {args.num_classes:,} classes"
    return f"{members} {kind} of {args.num_classes:,} classes, mean of their {args.aggregate}"


def _weights(card: "Card") -> Rows:
    weights = card.weights
    if weights is None:
        rows = [("weights", "timm has none")]
    else:
        where = "on this machine" if weights.cached else "not on this machine yet"
        classes = weights.classes
        knows = (
            "no classes, features only"
            if not classes
            else f"{classes:,} classes" + (" of ImageNet-1k" if classes == 1000 else "")
        )
        origin = [("published at", weights.origin)] if weights.origin else []
        paper = [("paper", weights.paper)] if weights.paper else []
        rows = [
            ("weights", f"{weights.tag}: {knows}; {where}"),
            ("from", weights.hub or weights.url or "-"),
            *origin,
            *paper,
            ("licence", weights.licence or "unknown"),
        ]
    others = [f"{tag.name} ({tag.licence or 'unknown'})" for tag in card.others]
    return rows + ([("other weights", _few(others, _TAGS))] if others else [])


# A model.pt ------------------------------------------------------------------------------------


def _of_trained(found: "Trained") -> Rows:
    file, module = found.loaded.file, found.module
    classes = file.classes
    stride = found.loaded.args.stem_stride
    stem = [("stem stride", f"{stride} instead of timm's own")] if stride else []
    return [
        ("file", f"{found.path} ({found.file_bytes:,} bytes)"),
        ("architecture", f"{module.kind}, of timm's {found.card.family}"),
        ("classes", f"{len(classes)}: {_few(classes, _NAMES)}"),
        ("input", f"{module.args.input_size} x {module.args.input_size} px RGB"),
        ("mean, std", _mean_std(module)),
        *stem,
        *_costs(module),
        *_history(found),
        *_measured(found),
    ]


def _history(found: "Trained") -> Rows:
    from kdcli.core.text import counted_names
    from kdcli.data.decoding import Decoding
    from kdcli.report.licences import licence_row

    provenance, outcome = found.loaded.file.provenance, found.outcome
    began = "random weights"
    if found.began_pretrained and (weights := found.card.weights):
        began = f"timm's {weights.tag} weights"
    epochs = str(provenance.get("epochs", "-"))
    if outcome:
        epochs += f", {'the best' if found.ships else 'as it was after'} {outcome['best_epoch']}"
        epochs += f" ({_ENDS.get(outcome['ended'], outcome['ended'])}; {outcome['seconds']:.0f} s)"
    accuracy = provenance.get("val_accuracy", "")  # None: an exit's, say, nobody has measured
    validated = "unknown" if accuracy is None else accuracy and f"{accuracy:.4f}"
    versions = provenance.get("versions") or {}
    trained = "seed" in provenance  # not of somebody else's weights
    kept = provenance.get("decoding")
    decoding = Decoding.from_dict(kept).words if kept else ()
    rows = [
        ("role", found.role),
        ("teachers", counted_names(provenance.get("teachers") or ())),
        ("learnt with", ", ".join(path.name for path in found.beside)),
        ("began from", began if trained else None),
        ("data, seed", f"{provenance.get('data')}, {provenance.get('seed')}" if trained else None),
        ("image files", ", ".join(decoding)),
        ("epochs", epochs if trained else None),
        ("validation accuracy", validated),
        *_recipe(found),
        ("made with", ", ".join(f"{k} {v}" for k, v in versions.items())),
        *(("licence", licence_row(one)) for one in found.licences.entries),
    ]
    return [(label, str(text)) for label, text in rows if text]


def _recipe(found: "Trained") -> list[tuple[str, str | None]]:
    """The recipe in four lines; --json has every key."""
    from kdcli.recipe.edit import crop_pct_of

    recipe = found.loaded.file.recipe
    if not recipe:
        return []
    scheme, task, train = (recipe.get(key) or {} for key in ("scheme", "task", "train"))
    data, methods = recipe.get("data") or {}, recipe.get("methods") or {}
    named = f"{found.spec.recipe_name}: " if found.spec else ""
    terms = [f"task {_plain(task.get('weight'))}"]
    terms += [f"{name} ({_options(use)})" for name, use in methods.items()]
    how = (
        f"epochs {train.get('epochs')} at most, batch {train.get('batch_size')}, "
        f"{train.get('optimizer')}, rate {_plain(train.get('lr'))}"
    )
    return [
        ("recipe", f"{named}scheme {scheme.get('name')}; {', '.join(terms)}"),
        ("training", how),
        ("augmentation", f"{data.get('augment') or 'none'}, at {data.get('image_size')} px"),
        ("evaluated on", f"the central {crop_pct_of(data.get('crop_pct')):.1%} of a side"),
    ]


def _options(use: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_plain(value)}" for key, value in use.items() if value is not None)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{k} {_plain(v)}" for k, v in value.items() if v is not None)
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _measured(found: "Trained") -> Rows:
    if found.report is None:
        return []
    part = found.report.models.get("student")
    accuracy = part.accuracy if part else None
    test = [] if accuracy is None else [("test accuracy", f"{accuracy:.4f}")]
    entries = [*(found.report.exports or []), *(found.report.packages or [])]
    return [*test, *map(_exported, entries)]


def _exported(entry: Any) -> tuple[str, str]:
    from kdcli.report.sentences import parity_words

    return "exported", f"{entry.path} ({entry.bytes:,} bytes); {parity_words(entry.parity)}"


# An ONNX file ----------------------------------------------------------------------------------


def _of_onnx(found: "Onnx") -> Rows:
    about = found.description
    ports = [
        (direction, f"{p.name}: {p.dtype} ({', '.join(map(str, p.shape))})")
        for direction, several in (("input", about.inputs), ("output", about.outputs))
        for p in several
    ]
    exported = [e for e in (found.report.exports if found.report else None) or []]
    return [
        ("file", f"{found.file_bytes:,} bytes, sha256 {found.sha256[:12]}..."),
        ("ONNX", f"opset {about.opset}, IR {about.ir_version}, by {about.producer or 'unknown'}"),
        ("graph", f"{about.nodes} nodes, {about.parameters:,} constants"),
        *ports,
        *_metadata(about.metadata),
        *(_exported(entry) for entry in exported if entry.sha256 == found.sha256),
    ]


def _metadata(metadata: dict[str, str]) -> Rows:
    if not any(key.startswith("kd.") for key in metadata):
        return [("kd", "not written by kd: nothing is said of classes or preprocessing")]
    return [(key, _brief(text)) for key, text in metadata.items()]


def _brief(text: str) -> str:
    """A list of many names cut short."""
    try:
        value = from_json(text)
    except ValueError:
        return text
    if isinstance(value, list):
        names = _few([_plain(v) for v in value], _NAMES)
        return f"{len(value)}: {names}" if len(value) > 3 else names
    return text


def _few(names: Any, count: int) -> str:
    shown = ", ".join(map(str, list(names)[:count]))
    return f"{shown}, ... ({len(names) - count} more)" if len(names) > count else shown
