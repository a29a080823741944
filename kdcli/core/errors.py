"""What can go wrong, each with its exit code.

KdError                         says what is wrong (`what`) and the way out (`fix`)
├── UsageError            2     command line, recipe, unknown name
│   ├── RecipeError             every mistake of a recipe at once
│   ├── UnmetNeeds              a method needs what the scheme does not give
│   └── MissingDevice           the device asked for is not there
├── DataError             3     images or labels that cannot be used
│   ├── UnfitTeacher            other classes than the data, or hardly better than chance
│   └── WeightsUnavailable      pretrained weights that cannot be fetched
├── NotFinite             4     a loss that is not a number
├── OutOfMemory           5
├── DiskError             6     full, read-only, no permission
├── DamagedFile           7     truncated, foreign, not finite, or holding code
├── GateMissed            8     a --min / --max that was not met
│   └── ParityError             an exported file that disagrees with PyTorch
├── InUse                 9     another kd works in this run folder
└── Interrupted     130 / 143   Ctrl-C, SIGTERM
"""

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of `kd`; part of the interface."""

    DONE = 0
    DEFECT = 1
    USAGE = 2
    DATA = 3
    NOT_FINITE = 4
    OUT_OF_MEMORY = 5
    DISK = 6
    DAMAGED = 7
    GATE = 8
    IN_USE = 9
    INTERRUPTED = 130
    TERMINATED = 143


class KdError(Exception):
    """An error that a person can act on.

    `what` says where and what is wrong, `fix` the way out (may be empty).
    """

    code = ExitCode.DEFECT

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what, fix)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}\n{self.fix}" if self.fix else self.what


class UsageError(KdError):
    code = ExitCode.USAGE


class RecipeError(UsageError):
    """`problems` lists one line per mistake, each with its path."""

    def __init__(self, problems: Iterable[str], fix: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems), fix)


class UnmetNeeds(UsageError):
    pass


class MissingDevice(UsageError):
    pass


class DataError(KdError):
    code = ExitCode.DATA


class UnfitTeacher(DataError):
    pass


class WeightsUnavailable(DataError):
    pass


class NotFinite(KdError):
    code = ExitCode.NOT_FINITE


class OutOfMemory(KdError):
    code = ExitCode.OUT_OF_MEMORY


class DiskError(KdError):
    code = ExitCode.DISK


class DamagedFile(KdError):
    code = ExitCode.DAMAGED


class GateMissed(KdError):
    code = ExitCode.GATE


class ParityError(GateMissed):
    pass


class InUse(KdError):
    code = ExitCode.IN_USE


class Interrupted(KdError):
    """Ctrl-C (130) or SIGTERM (143)."""

    def __init__(self, what: str, code: ExitCode = ExitCode.INTERRUPTED) -> None:
        super().__init__(what)
        self.code = code


FULL_MEMORY = (
    "OutOfMemoryError",
    "out of memory",
    "can't allocate memory",
    "not enough memory",
)
"""How torch says that memory is full: on a GPU, on Apple's, on a processor, on Windows."""
