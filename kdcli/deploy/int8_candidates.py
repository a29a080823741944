"""Ways to quantise one file, measured on validation; and which of them is taken."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from kdcli.core.arrays import Floats, Indices
from kdcli.core.latency import beyond, latency, noise
from kdcli.deploy.onnx_file.session import open_session
from kdcli.evaluation import metrics
from kdcli.report.export import TriedPart

MOST = 0.005
"""The accuracy on validation that int8 may cost: half of what the verdict allows it on test
(`evaluate.margin`)."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """One file, and how it was made."""

    path: Path
    source: Path
    """What was quantised: the file itself, or pre-processed."""
    ranges: Any
    tried: TriedPart


def choose(tried: Sequence[TriedPart], accuracy: float, noise: float) -> TriedPart:
    """Of those that lose at most `MOST` of fp32's `accuracy` on validation, the fastest.

    Speeds that differ by no more than the `noise` count as equal: then the lowest KL from fp32. If
    all lose more, the most accurate. `tried` holds none that failed, and is not empty.
    """
    # rounded: 0.905 - 0.9 is a hair above 0.005
    fit = [one for one in tried if round(accuracy - _known(one.accuracy), 9) <= MOST]
    if not fit:
        return max(tried, key=lambda one: (_known(one.accuracy), -_known(one.kl)))
    fastest = max(_known(one.speedup) for one in fit)
    equal = [one for one in fit if not beyond(fastest / _known(one.speedup), noise)]
    return min(equal, key=lambda one: _known(one.kl))


def worth_leaving_out(best: TriedPart, tried: Iterable[TriedPart]) -> list[TriedPart]:
    """Those, with layers left out, that save accuracy; none where `best` has them all."""
    return [one for one in tried if _known(one.accuracy) > _known(best.accuracy)]


def _known(value: float | None) -> float:
    assert value is not None  # it did not fail
    return value


def measured(
    tried: TriedPart, path: Path, answers: Floats, expected: Floats, labels: Indices
) -> TriedPart:
    """With what the file's `answers` (N, K) on validation are worth beside fp32's, `expected`."""
    update = {
        "accuracy": metrics.accuracy(answers, labels),
        "kl": metrics.kl(expected, answers),
        "bytes": path.stat().st_size,
    }
    return tried.model_copy(update=update)


def timed(fp32: Path, candidates: Sequence[Candidate], side: int) -> tuple[list[Candidate], float]:
    """The same with their speed, quickly, by turns with fp32, all fed with images of `side` pixels;
    and the noise between two timings."""
    files = {"fp32": fp32, "fp32 again": fp32} | {str(one.path): one.path for one in candidates}
    sessions = {name: open_session(file) for name, file in files.items()}
    calls = {name: partial(session, session.one_image(side)) for name, session in sessions.items()}
    times = latency(calls, seconds=0.5)  # of up to ten files; the one that is taken is timed anew
    whole = times["fp32"]
    speedups = [whole.p50 / times[str(one.path)].p50 for one in candidates]
    faster = [
        replace(one, tried=one.tried.model_copy(update={"speedup": speedup}))
        for one, speedup in zip(candidates, speedups, strict=True)
    ]
    return faster, noise(whole, times["fp32 again"])
