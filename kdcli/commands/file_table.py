"""The files of a student beside each other, as rows and lines."""

from collections.abc import Sequence

from kdcli.commands.precision_part import QuantizedPart
from kdcli.commands.report import Export


def file_table(exports: Sequence[Export]) -> list[list[str]]:
    """Heads and a row for each file; empty where no precision stands beside fp32."""
    if not any(one.worth for one in exports):
        return []
    heads = ["file", "precision", "bytes", "test accuracy", "onnxruntime p50", "speed-up", ""]
    return [heads, *(_row(one) for one in exports)]


def _row(export: Export) -> list[str]:
    worth = export.worth
    return [
        export.path,
        export.precision,
        f"{export.bytes:,}",
        "-" if export.accuracy is None else f"{export.accuracy:.4f}",
        f"{export.latency_ms.p50:.2f} ms",
        f"{worth.speedup:.2f}x" if worth else "-",
        "-" if worth is None else "worth it" if worth.worth_it else "not worth it",
    ]


def worth_lines(exports: Sequence[Export]) -> list[str]:
    """The verdict on each file that has one, and how int8 was made."""
    lines = [f"{one.precision}: {one.worth.reason}" for one in exports if one.worth]
    return lines + [quantized_words(one.quantized) for one in exports if one.quantized]


def quantized_words(part: QuantizedPart) -> str:
    """How it was made, and what it did on validation."""
    steps = [
        f"{part.calibration} on {part.images} training images",
        *["pre-processed"] * part.preprocessed,
        *(f"{name} left in float32" for name in part.left_out),
        *["weights of 7 bits"] * part.reduce_range,
    ]
    return (
        f"int8 for {part.target}: {', '.join(steps)}; chosen of {len(part.tried)} on "
        f"{part.validation_images} validation images, accuracy there {part.accuracy:.4f} (fp32 "
        f"{part.accuracy_fp32:.4f})"
    )
