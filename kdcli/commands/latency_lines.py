"""What files take of time and memory, and which is faster, in words."""

from kdcli.commands.amounts import size_in_words
from kdcli.commands.model_part import DevicePart, Percentiles
from kdcli.commands.report import Export, Report, Speedup, imitated
from kdcli.cost import beyond
from kdcli.errors import counted


def faster(report: Report, found: Speedup) -> str:
    """Both ratios, each against its own noise; one within it is called so, and none is claimed."""
    above = imitated(report.models)
    indicative = ", quick: indicative" if report.protocol == "quick" else ""
    where = f"({report.measured_on}{indicative})"
    if beyond(found.onnxruntime, report.noise) and beyond(found.pytorch, report.noise_pytorch):
        return (
            f"{found.onnxruntime:.3g}x as fast as the {above} in onnxruntime, "
            f"{found.pytorch:.3g}x in PyTorch {where}"
        )
    onnxruntime = _told(found.onnxruntime, report.noise)
    pytorch = _told(found.pytorch, report.noise_pytorch)
    return f"beside the {above}: in onnxruntime {onnxruntime}, in PyTorch {pytorch} {where}"


def _told(ratio: float, noise: float | None) -> str:
    if beyond(ratio, noise):
        return f"{ratio:.3g}x as fast"
    known = "unknown" if noise is None else f"{noise:.1%}"
    return f"no faster or slower than can be told (x{ratio:.2f}, noise {known})"


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
