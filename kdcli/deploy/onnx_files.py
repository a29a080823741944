"""The ONNX files of one student: each is made, compared with PyTorch, and only then kept."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import nn

from kdcli.core.arrays import Floats
from kdcli.core.errors import KdError, UsageError
from kdcli.core.file_format import ONNX
from kdcli.core.files import atomic_pair, disk_errors
from kdcli.core.machine import own_kind
from kdcli.core.progress import Progress
from kdcli.data.decoding import Decoding
from kdcli.deploy.onnx_file import external
from kdcli.deploy.onnx_file.external import sidecar
from kdcli.deploy.onnx_file.fp16 import to_fp16
from kdcli.deploy.onnx_file.pixels import with_pixels
from kdcli.deploy.onnx_file.read import describe, load_whole
from kdcli.deploy.onnx_file.write import export_onnx, write
from kdcli.deploy.outgoing import Outgoing
from kdcli.deploy.parity import check_parity
from kdcli.deploy.quantization import quantized
from kdcli.deploy.request import Wanted
from kdcli.models.heads import answering
from kdcli.models.loading import Loaded
from kdcli.report.choices import Precision
from kdcli.report.export import FoldPart, ParityPart, QuantizedPart, named, smaller


@dataclass(frozen=True, eq=False)
class Made:
    """One file, on its way."""

    path: Path
    """Where it lies until all files take their places; of the same name."""
    place: Path
    precision: Precision
    parity: ParityPart
    answers: Floats
    """(N, K), of the samples."""
    quantized: QuantizedPart | None = None


def make_all(outgoing: Outgoing, kept: ExitStack, progress: Progress) -> list[Made]:
    """The files that are wanted, fp32 first, for `outgoing.path` and beside it.

    They take their places when `kept` closes, one right after the other, fp32 last; smaller ones of
    an earlier fp32 file that were not made again are then removed. When it ends with an error, what
    lay there stays. Where the system refuses the place of one of them, those that it took before
    stay, and nothing is removed.

    Raises:
        UsageError: another precision than fp32 of a model above 2 GB.
        ParityError: one of them does not answer as PyTorch does.
    """
    student, wanted, samples, path = (
        outgoing.student,
        outgoing.wanted,
        outgoing.samples,
        outgoing.path,
    )
    args, size = student.args, student.args.input_size
    side, crop_pct = samples.image_size, samples.crop_pct
    front = wanted.front(args, side, crop_pct)
    metadata = _metadata(student, outgoing.fold) | wanted.feeding(side, size, crop_pct)
    if not path.parent.exists():
        kept.callback(_remove_empty, path.parent)
    kept.enter_context(_then_without_earlier(path, wanted, progress))
    with TemporaryDirectory() as scratch:
        core = Path(scratch) / "core.onnx"
        whole, sides = answering(student.module, args), (size, size)
        _refuse_large(whole, wanted)
        export_onnx(whole, core, input_size=sides, batch=wanted.batch, opset=wanted.opset)
        made = []
        for precision in wanted.precisions:
            place = named(path, precision)
            beside = kept.enter_context(atomic_pair(place, sidecar(place)))
            file, how = _as(precision, core, outgoing, progress)
            proto = with_pixels(load_whole(file), front) if front else load_whole(file)
            write(proto, beside, metadata | {"kd.precision": precision})
            parity, answers = check_parity(student, beside, samples, progress, precision)
            made.append(Made(beside, place, precision, parity, answers, how))
    return made


@contextmanager
def _then_without_earlier(path: Path, wanted: Wanted, progress: Progress) -> Iterator[None]:
    """Afterwards, remove kd's smaller files beside `path` that are not among those wanted."""
    yield
    for precision, file in smaller(path).items():
        if precision not in wanted.precisions and _is_of_kd(file, precision):
            with disk_errors(file):
                file.unlink()
                sidecar(file).unlink(missing_ok=True)
            progress.say(
                f"{file.name} was made from an earlier {path.name}: removed; add --{precision} to "
                "have it again"
            )


def _is_of_kd(file: Path, precision: Precision) -> bool:
    try:
        return file.is_file() and describe(file).metadata.get("kd.precision") == precision
    except KdError:  # no ONNX file, or not whole
        return False


def _as(
    precision: Precision, core: Path, outgoing: Outgoing, progress: Progress
) -> tuple[Path, QuantizedPart | None]:
    """The core, images in and logits out, in this precision; and how int8 was made."""
    if precision == "fp32":
        return core, None
    if precision == "fp16":
        half = core.with_name("fp16.onnx")
        write(to_fp16(core), half, {})
        return half, None
    assert outgoing.images  # else it was refused
    return quantized(core, outgoing.images(), outgoing.wanted.target or own_kind(), progress)


def _refuse_large(module: nn.Module, wanted: Wanted) -> None:
    """What makes int8 and fp16 takes a model as one message of protobuf."""
    weights = sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
    if len(wanted.precisions) > 1 and weights > external.LIMIT:
        raise UsageError(
            "int8 and fp16 of models above 2 GB are not made", "export it without --int8, --fp16"
        )


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # something is in it
        folder.rmdir()


def _metadata(student: Loaded, fold: FoldPart | None) -> dict[str, str]:
    """What a consumer of the file needs to know; all values are strings, lists are JSON."""
    args, made = student.args, student.file.provenance
    licences = [
        {key: one[key] for key in ("role", "what", "licence")} for one in made.get("licences", ())
    ]
    provenance = {key: made.get(key) for key in ("run", "recipe", "teachers", "seed")}
    provenance["kd"] = made.get("versions", {}).get("kdcli")
    texts = {
        ONNX.key: str(ONNX.writes),
        "kd.classes": json.dumps(student.file.classes, ensure_ascii=False),
        "kd.model": args.name,
        "kd.input_size": str(args.input_size),
        "kd.mean": json.dumps(args.mean),
        "kd.std": json.dumps(args.std),
        "kd.data": str(made.get("data", "")),
        "kd.licences": json.dumps(licences, ensure_ascii=False),
        "kd.provenance": json.dumps(provenance, ensure_ascii=False),
        **Decoding.from_dict(made.get("decoding")).as_texts(),
    }
    if args.exit is not None:
        texts["kd.exit"] = f"stage {args.exit}"
    if args.peers:
        texts["kd.fused"] = f"the last maps of {args.words}"
    if fold:
        how = "folded into one" if fold.folded else f"as one, the mean of their {args.aggregate}"
        texts["kd.fold"] = f"{fold.heads} heads {how}"
    # names that are not UTF-8: as JSON writes them
    return {key: text.encode("utf-8", "backslashreplace").decode() for key, text in texts.items()}
