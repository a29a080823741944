"""What the files of an export shall be like."""

from dataclasses import dataclass

from kdcli.commands.report import Format, Precision, WantedFold


@dataclass(frozen=True)
class Wanted:
    """Beside the fp32 file, which is always made."""

    format: Format = "onnx"
    fold: WantedFold = "auto"
    """Several heads become one: where that costs next to no accuracy, where it is exact, never."""

    @property
    def precisions(self) -> tuple[Precision, ...]:
        return ("fp32",)
