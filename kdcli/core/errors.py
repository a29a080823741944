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
│   └── OtherFormat             whole, of a newer kd, or of one too old
├── GateMissed            8     a gate (--min, --max-drop, ...) not met
│   └── ParityError             an exported file that disagrees with PyTorch
├── InUse                 9     another kd works in this run folder
└── Interrupted     130 / 143   Ctrl-C, SIGTERM
"""

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of `kd`; part of the interface.

    CI pipelines branch on them (README.md has the table), so a number never changes its meaning.
    """

    DONE = 0
    DEFECT = 1  # also Python's own for an exception that nobody caught
    USAGE = 2  # as argparse, click and typer have it
    DATA = 3
    NOT_FINITE = 4
    OUT_OF_MEMORY = 5
    DISK = 6
    DAMAGED = 7
    GATE = 8
    IN_USE = 9
    # As shells have it: 128 and the number of the signal, SIGINT 2 or SIGTERM 15. By 143 a
    # scheduler tells a job that it stopped from one that failed.
    INTERRUPTED = 130
    TERMINATED = 143


class KdError(Exception):
    """An error that a person can act on.

    `what` says where and what is wrong, `fix` the way out (may be empty). Each may have several
    lines; the terminal indents `fix`, and --json has both as they are.
    """

    code = ExitCode.DEFECT

    def __init__(self, what: str, fix: str = "") -> None:
        # Both are arguments: pickle makes an exception anew from these, and the errors of
        # processes that make batches come pickled.
        super().__init__(what, fix)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}\n{self.fix}" if self.fix else self.what


class UsageError(KdError):
    code = ExitCode.USAGE


class RecipeError(UsageError):
    """`problems` lists one line per mistake, each with its path.

    All at once: whoever mends a recipe would otherwise start kd once for each mistake in it.
    """

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


class OtherFormat(DamagedFile):
    pass


class GateMissed(KdError):
    code = ExitCode.GATE


class ParityError(GateMissed):
    pass


class InUse(KdError):
    code = ExitCode.IN_USE


class Interrupted(KdError):
    """Ctrl-C (130) or SIGTERM (143).

    Made at the very end, in `cli/entry.py`; until there a KeyboardInterrupt travels, which no
    `except Exception` on the way takes for a failure.
    """

    def __init__(self, what: str, code: ExitCode = ExitCode.INTERRUPTED) -> None:
        super().__init__(what)
        self.code = code


FULL_MEMORY = (
    "OutOfMemoryError",
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "Cannot allocate memory",
)
"""How torch says that memory is full: on a GPU, on Apple's, on a processor, on Windows; and how C++
and the system do.

Looked for in `repr(error)`. Only CUDA's has a class of its own (torch.OutOfMemoryError); all others
are plain RuntimeErrors, and the words also spare this room an import of torch.
"""
