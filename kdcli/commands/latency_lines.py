"""What files take of time and memory, and which is faster, in words."""

from kdcli.commands.amounts import size_in_words
from kdcli.commands.model_part import DevicePart, Percentiles
from kdcli.commands.report import Export, Report, Speedup, imitated
from kdcli.errors import counted


def is_told(ratio: float, noise: float | None) -> bool:
    """Whether two latencies differ by more than two timings of the same file did."""
    return max(ratio, 1 / ratio) - 1 > (noise or 0.0)


def faster(report: Report, found: Speedup) -> str:
    """Both ratios; one within the noise is called so, and none is claimed."""
    above, noise = imitated(report.models), report.noise
    indicative = ", quick: indicative" if report.protocol == "quick" else ""
    where = f"({report.measured_on}{indicative})"
    if is_told(found.onnxruntime, noise) and is_told(found.pytorch, noise):
        return (
            f"{found.onnxruntime:.3g}x as fast as the {above} in onnxruntime, "
            f"{found.pytorch:.3g}x in PyTorch {where}"
        )
    by = {"onnxruntime": found.onnxruntime, "PyTorch": found.pytorch}
    words = ", ".join(f"in {name} {_told(ratio, noise)}" for name, ratio in by.items())
    return f"beside the {above}: {words} {where}"


def _told(ratio: float, noise: float | None) -> str:
    if is_told(ratio, noise):
        return f"{ratio:.3g}x as fast"
    return f"no faster or slower than can be told (x{ratio:.2f}, noise {noise or 0.0:.1%})"


def in_use(export: Export) -> list[str]:
    """What a file takes of time and memory: here, and on every device that measured it."""
    return [
        f"here: {_times(export.latency_ms, export.memory_bytes)}",
        *(
            f"on {part.device} ({part.system}, {counted(part.threads, 'thread')}, onnxruntime "
            f"{part.onnxruntime}): {_times(part, part.memory_bytes)}"
            for part in export.measured
        ),
    ]


def _times(found: Percentiles | DevicePart, memory: int | None) -> str:
    """`4.1 / 4.4 ms, 35 MB (p99 5.2 ms, the first image 30 ms)`."""
    words = f"{found.p50:.3g} / {found.p90:.3g} ms"
    if memory is not None:
        words += f", {size_in_words(memory)} of memory"
    if found.p99 is None or found.cold is None:
        return words
    return f"{words} (p99 {found.p99:.3g} ms, the first image {found.cold:.3g} ms)"
