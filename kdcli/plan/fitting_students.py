"""`kd list models`: which students fit, by parameters, MACs, and latency on this machine."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kdcli.core.cache import Cache
from kdcli.core.errors import DataError, DiskError, UsageError
from kdcli.core.files import cache_folder
from kdcli.core.latency import Latency, latency
from kdcli.core.machine import processor
from kdcli.core.progress import Progress, track_long
from kdcli.core.text import first_line
from kdcli.deploy.onnx_file.session import open_session
from kdcli.deploy.onnx_file.write import export_onnx
from kdcli.evaluation.cost import costs
from kdcli.models.build import build, model_names, plan, seeded
from kdcli.models.families import EDGE
from kdcli.models.licences import is_free, licence_of
from kdcli.models.model_args import ModelArgs
from kdcli.models.weights import has_weights
from kdcli.runs.versions import versions

CLASSES = 1000
"""Of the head that is counted: ImageNet's, as in the literature."""
THREADS = 1


@dataclass(frozen=True)
class Limits:
    """What a student must keep to; None: anything goes."""

    max_params: float | None = None
    max_macs: float | None = None
    max_ms: float | None = None
    """Median of one image in onnxruntime, in milliseconds."""
    pretrained: bool = False
    """timm has weights for it."""
    size: int = 224
    """Pixels of a side."""
    all: bool = False
    """Look at every model of timm, not at the edge families alone."""


@dataclass(frozen=True)
class Candidate:
    """A model that fits, as far as it is known what it costs."""

    name: str
    input_size: int
    """Pixels of a side that it is fed: its own where it does not take those asked for."""
    params: int
    """With a head of 1,000 classes."""
    macs: int | None
    """None: not countable without running it."""
    pretrained: bool
    licence: str | None
    """Of its pretrained weights."""
    latency_ms: Latency | None = None
    """One image in onnxruntime on this machine; None: not measured yet, or not exportable."""
    note: str = ""
    """What went wrong with it."""


@dataclass(frozen=True)
class Found:
    """The candidates, the fastest first where times are known, else the fewest MACs first."""

    limits: Limits
    considered: int
    excluded: dict[str, int]
    """How many each limit left out, in the order in which they were applied; `size`: those that
    take no RGB image of it, nor one of their own size."""
    machine: str
    kept_in: Path
    """The file of what was measured."""
    candidates: list[Candidate]

    @property
    def best(self) -> str | None:
        """The largest that keeps to a limit that was set; kd knows no accuracies in advance.

        Weights under a free licence come first, then any weights.
        """
        if not any((self.limits.max_params, self.limits.max_macs, self.limits.max_ms)):
            return None
        fitting = [c for c in self.candidates if not c.note]
        return max(fitting, key=_promise).name if fitting else None


def _promise(candidate: Candidate) -> tuple[bool, bool, int]:
    """Of two that fit, the larger usually learns more: by MACs, behind its weights' licence."""
    free = candidate.pretrained and candidate.licence is not None and is_free(candidate.licence)
    return free, candidate.pretrained, candidate.macs or 0


def parse_count(flag: str, text: str | None) -> float | None:
    """`5e6`, `5M`, `300k`, `1.5G`: a number above 0.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    scales = {"k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}
    digits, scale = text.strip().replace(",", "").replace("_", ""), 1.0
    if digits[-1:].lower() in scales:
        digits, scale = digits[:-1], scales[digits[-1].lower()]
    try:
        number = float(digits) * scale
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise UsageError(f"{flag} {text}: not a number above 0", f"as in {flag} 5e6, or {flag} 5M")
    return number


def parse_ms(text: str | None) -> float | None:
    """Milliseconds above 0, as `10` or `10ms`.

    Raises:
        UsageError: it is none.
    """
    try:
        number = None if text is None else float(text.strip().removesuffix("ms"))
    except ValueError:
        number = math.nan
    if number is not None and not 0 < number < math.inf:
        raise UsageError(f"--max-ms {text}: not milliseconds above 0", "as in --max-ms 10")
    return number


def list_models(limits: Limits, progress: Progress) -> Found:
    """What keeps to the limits: those that are cheap to check first, so that few models are timed.

    Latencies are measured where `max_ms` is set, and kept per machine; known ones are always shown.
    """
    names = model_names() if limits.all else [name for family in EDGE.values() for name in family]
    cache = Cache(cache_folder() / "models.json")
    excluded: dict[str, int] = {}
    left = [name for name in names if not limits.pretrained or has_weights(name)]
    if limits.pretrained:
        excluded["pretrained"] = len(names) - len(left)
    rows = _weighed(left, limits.size, cache, excluded, progress)
    for field, limit in (("params", limits.max_params), ("macs", limits.max_macs)):
        if limit is not None:
            kept = [row for row in rows if (getattr(row[0], field) or math.inf) <= limit]
            excluded[f"max_{field}"] = len(rows) - len(kept)
            rows = kept
    found = _timed(rows, limits, cache, progress)
    if limits.max_ms is not None:
        kept_ms = [c for c in found if c.latency_ms is None or c.latency_ms.p50 <= limits.max_ms]
        excluded["max_ms"] = len(found) - len(kept_ms)
        found = kept_ms
    return Found(limits, len(names), excluded, processor(), cache.path, _sorted(found))


def _sorted(found: list[Candidate]) -> list[Candidate]:
    """By latency where all that can be timed have been, else by MACs."""
    timed = all(c.latency_ms or c.note for c in found)

    def order(c: Candidate) -> tuple[float, float]:
        p50 = c.latency_ms.p50 if c.latency_ms else math.inf
        return p50 if timed else 0.0, c.macs or math.inf

    return sorted(found, key=order)


# What needs no run -----------------------------------------------------------------------------

_Row = tuple[Candidate, ModelArgs]


def _weighed(
    names: list[str], size: int, cache: Cache, excluded: dict[str, int], progress: Progress
) -> list[_Row]:
    """Parameters and MACs of each, on the meta device; what takes no such image is counted."""
    rows = {name: _row(name, cache.get(*_costs_key(name, size))) for name in names}
    new = [name for name, row in rows.items() if row is None]
    with _kept(cache, progress):
        for name in track_long(progress, new, "counting parameters and MACs"):
            known = _weigh(name, size)
            cache.put(*_costs_key(name, size), value=known)
            rows[name] = _row(name, known)
    fit = [row for row in rows.values() if isinstance(row, tuple)]
    if len(fit) < len(names):
        excluded["size"] = len(names) - len(fit)
    return fit


def _costs_key(name: str, size: int) -> tuple[str, ...]:
    return "costs", name, f"{size} px", f"timm {versions()['timm']}"


def _weigh(name: str, size: int) -> dict[str, Any]:
    """What the cache holds of a model; that it takes no such image is kept as well."""
    try:
        args = plan(name, CLASSES, size, None)
        return {"input_size": args.input_size, "img_size": args.img_size, **costs(args)}
    except DataError:
        return {_UNFIT: True}


_UNFIT = "takes no such image"


def _row(name: str, known: dict[str, Any] | None) -> _Row | str | None:
    """From what the cache holds; None where it holds nothing that makes sense."""
    if known is None:
        return None
    if known.get(_UNFIT):
        return _UNFIT
    try:
        args = ModelArgs(name, CLASSES, int(known["input_size"]), img_size=known["img_size"])
        params = int(known["params"])
        macs = None if known["macs"] is None else int(known["macs"])
    except (KeyError, TypeError, ValueError):
        return None
    return Candidate(name, args.input_size, params, macs, has_weights(name), _licence(name)), args


def _licence(name: str) -> str | None:
    return licence_of(name) if has_weights(name) else None


# What does -------------------------------------------------------------------------------------


def _timed(rows: list[_Row], limits: Limits, cache: Cache, progress: Progress) -> list[Candidate]:
    """The candidates with their latencies; each is kept as soon as it is known."""
    rows = sorted(rows, key=lambda row: row[0].macs or math.inf)  # the quick ones first
    known = {row[0].name: _latency(cache.get(*_latency_key(row[1]))) for row in rows}
    todo = [row for row in rows if known[row[0].name] is None] if limits.max_ms else []
    notes: dict[str, str] = {}
    label = f"exporting and timing ({THREADS} thread)"
    for candidate, args in track_long(progress, todo, label):
        progress.note(candidate.name)
        try:
            measured = time_export(args)
        except Exception as error:  # torch's exporter fails in many ways; the others go on
            notes[candidate.name] = f"cannot be timed: {first_line(error)}"
            continue
        known[candidate.name] = measured
        with _kept(cache, progress):
            cache.put(*_latency_key(args), value=asdict(measured))
    return [replace(c, latency_ms=known[c.name], note=notes.get(c.name, "")) for c, _ in rows]


def _latency_key(args: ModelArgs) -> tuple[str, ...]:
    packages = [f"{name} {versions()[name]}" for name in ("timm", "torch", "onnxruntime")]
    where = f"{processor()}", f"{THREADS} thread"
    return "latency", args.name, f"{args.input_size} px", *packages, *where


def _latency(known: dict[str, Any] | None) -> Latency | None:
    """What the cache holds; None where it holds nothing that makes sense."""
    try:
        found = Latency(**known) if known else None
        return found if found and 0 < found.p50 <= found.p90 else None
    except TypeError:
        return None


def time_export(args: ModelArgs) -> Latency:
    """Milliseconds of one image in the file that `kd export` would write, for about a second."""
    size = args.input_size
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        with seeded(0, "timed"):
            module = build(args)  # random weights take as long as any
        export_onnx(module, path, input_size=(size, size), metadata={})
        call = partial(open_session(path, THREADS), np.zeros((1, 3, size, size), np.float32))
    return latency({"it": call}, seconds=1.0, min_runs=10, max_runs=200)["it"]


@contextmanager
def _kept(cache: Cache, progress: Progress) -> Iterator[None]:
    """What was measured inside is on disk afterwards, also after Ctrl-C."""
    try:
        yield
    finally:
        try:
            cache.save()
        except DiskError as error:
            progress.warn(f"{error.what}; KD_CACHE names another place for what is measured")
