"""What the files of an export shall be like."""

from dataclasses import dataclass

from kdcli.commands.report import Precision, WantedFold
from kdcli.onnx_file.int8 import Target


@dataclass(frozen=True)
class Wanted:
    """Beside the fp32 file, which is always made."""

    fold: WantedFold = "auto"
    """Several heads become one: where that costs next to no accuracy, where it is exact, never."""

    int8: bool = False
    fp16: bool = False
    target: Target | None = None
    """The processor that int8 is for; None: x86."""

    @property
    def precisions(self) -> tuple[Precision, ...]:
        more: dict[Precision, bool] = {"int8": self.int8, "fp16": self.fp16}
        return ("fp32", *(precision for precision, asked in more.items() if asked))
