"""What the files of an export shall be like."""

from dataclasses import dataclass

from kdcli.commands.report import Precision, WantedFold


@dataclass(frozen=True)
class Wanted:
    """Beside the fp32 file, which is always made."""

    fold: WantedFold = "auto"
    """Several heads become one: where that costs next to no accuracy, where it is exact, never."""

    opset: int | None = None
    """Version of ONNX's operators; None: the exporter's own."""

    @property
    def precisions(self) -> tuple[Precision, ...]:
        return ("fp32",)
