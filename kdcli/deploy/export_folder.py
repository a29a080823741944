"""What lies beside exported files, so that their folder can be copied to the device as it is."""

import math
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from kdcli.core.errors import DamagedFile, UsageError
from kdcli.core.files import write_text
from kdcli.core.progress import Progress
from kdcli.core.text import shown, size_in_words, some
from kdcli.deploy.onnx_file.feeding import Feeding, feeding_of
from kdcli.deploy.onnx_file.read import Port, describe
from kdcli.evaluation.intervals import share_interval
from kdcli.report.export import Export, place_of
from kdcli.report.licences import licence_line, licence_table
from kdcli.report.markdown_text import code, markdown_table, plain
from kdcli.report.schema import Report

MARK = "<!-- written by kd export -->"
"""How a README begins that kd may write anew."""

Files = list[tuple[Path, Export]]


def fill(folder: Path, beside: Path, source: str, report: Report, progress: Progress) -> None:
    """Write labels.txt, the scripts that stand alone and a README about the files in `folder`.

    They are those that the report lists; its paths are relative to `beside`. `source` is what they
    were made from, in words. A folder whose README is kd's is written anew; elsewhere a person's
    files of these names are left alone, aloud.
    """
    exports = _files_in(folder, beside, report)
    first = exports[0][0]
    feeding = feeding_of(first)
    other = first.stem.removeprefix("model") if first.stem.startswith("model.") else ""
    readme = f"README{other}.md"  # README.exit_1.md of model.exit_1.onnx
    texts = {
        "labels.txt": "".join(f"{shown(name)}\n" for name in feeding.classes),
        **scripts(),
        readme: _readme(exports, feeding, source, report),
    }
    ours, left = any(_is_ours(file) for file in folder.glob("README*.md")), list[str]()
    for name, text in texts.items():
        place = folder / name
        mine = _is_ours(place) if name == readme else ours
        if (
            place.exists()
            and not mine
            and place.read_bytes() != text.encode("utf-8", "backslashreplace")
        ):
            progress.warn(f"{place}: not written by kd, left as it is; move it away for kd's own")
            left.append(name)
        else:
            write_text(place, text)
    others = some(left)
    ready = f"not ready to be copied, {others} of others lie there" if left else READY
    progress.say(f"{folder}: {ready}")


READY = "ready to be copied to where the model is used"


def refuse_strangers(file: Path) -> None:
    """Raise UsageError for one that kd has not written, in a folder that somebody has named: the
    name of the file is kd's choice."""
    if not file.exists():
        return
    with suppress(DamagedFile, OSError):
        if file.suffix != ".onnx" or any(key.startswith("kd.") for key in describe(file).metadata):
            return
    raise UsageError(
        f"{file}: there is one, and kd has not written it",
        "move it away, or give another folder; a file's own name is replaced: --out FILE.onnx",
    )


def scripts() -> dict[str, str]:
    """Name -> text of what stands alone."""
    found = [file for file in files("kdcli.deploy.device").iterdir() if file.name.endswith(".py")]
    return {file.name: file.read_text("utf-8") for file in found if file.name != "__init__.py"}


def _is_ours(readme: Path) -> bool:
    return readme.is_file() and readme.read_bytes().startswith(MARK.encode())


def _files_in(folder: Path, beside: Path, report: Report) -> Files:
    """Those of the report that lie in the folder, the shortest name first: fp32."""
    found = [(place_of(export, beside), export) for export in report.exports or []]
    here = [
        (file, export)
        for file, export in found
        if file.is_file() and file.parent.resolve() == folder.resolve()
    ]
    return sorted(here, key=lambda pair: len(pair[0].name))


def _readme(exports: Files, feeding: Feeding, source: str, report: Report) -> str:
    first = exports[0][0]
    model = "" if first.name == "model.onnx" else f" --model {first.name}"
    lines = [
        *(MARK, f"# {plain(report.models['student'].name)}", ""),
        f"An image classifier of {len(feeding.classes)} classes (labels.txt, in the order of the "
        "output), as ONNX.",
        "",
        *_ports(first, feeding),
        *("", "    pip install numpy onnxruntime pillow"),
        f"    python predict.py photo.jpg{model}",
        "    python bench.py    # how fast it is here; kd export --measured takes what it prints",
        "",
        *_table(exports),
    ]
    if report.measured_on:
        lines += ["", f"p50 / p90: latency of one image at a time, {plain(report.measured_on)}."]
    if report.licences:
        lines += ["", plain(licence_line(report.licences)), ""]
        lines += markdown_table(*licence_table(report.licences))
    return "\n".join([*lines, "", f"Made by kd {plain(report.kd)} from {plain(source)}.", ""])


def _ports(file: Path, feeding: Feeding) -> list[str]:
    """Input and output in words: type, shape, range, and what is to be done before and behind."""
    about = describe(file)
    takes, gives = about.inputs[0], about.outputs[0]
    kinds = {True: "RGB, channels last, 0 to 255", False: "RGB, channels first, normalised"}
    fed = f"{_kind(takes)}, {kinds[feeding.pixels]}"
    if not feeding.pixels:
        mean, std = (
            [round(value, 6) for value in values] for values in (feeding.mean, feeding.std)
        )
        fed += f": (pixel / 255 - {mean}) / {std}"
    if feeding.any_size:
        fed += "; of any size, the model scales it"
    else:
        side, scaled = feeding.image_size, math.floor(feeding.image_size / feeding.crop_pct)
        fed += f"; the image's shorter side at {scaled} pixels, its middle {side} x {side} "
        fed += f"(crop_pct {feeding.crop_pct:g})"
    if unusual := feeding.decoding.words:
        fed += f"; image files: {', '.join(unusual)}"
    answer = "probabilities" if feeding.probabilities else "softmax makes probabilities of them"
    return [
        f"- input {code(takes.name)}: {fed}",
        f"- output {code(gives.name)}: {_kind(gives)}, {answer}",
    ]


def _kind(port: Port) -> str:
    """`float32 (batch, 3, 224, 224)`, in Markdown."""
    return plain(f"{port.dtype} ({', '.join(map(str, port.shape))})")


def _table(exports: Files) -> list[str]:
    """One row per file."""
    heads = ["file", "precision", "size", "test accuracy", "95% interval", "p50 / p90"]
    return markdown_table(heads, [_row(file, export) for file, export in exports])


def _row(file: Path, export: Export) -> list[str]:
    accuracy, interval = "-", "-"
    if export.accuracy is not None:
        found = share_interval(export.accuracy, export.parity.images)
        accuracy, interval = f"{export.accuracy:.4f}", f"{found.low:.3f} to {found.high:.3f}"
    latency = f"{export.latency_ms.p50:.2f} / {export.latency_ms.p90:.2f} ms"
    size = size_in_words(export.bytes)
    return [file.name, export.precision, size, accuracy, interval, latency]
