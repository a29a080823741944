"""Memory that has run out, in words, whatever was made of it on the way."""

from collections.abc import Iterator, Sequence

from kdcli.core.errors import FULL_MEMORY, KdError, OutOfMemory
from kdcli.core.machine import addressable_bytes
from kdcli.core.text import size_in_words

_SMALLER = (
    "try a smaller --set train.batch_size=..., or keep it and compute it in parts with "
    "--set train.accumulate=4"
)
_TRAINING = {"train", "distill", "evaluate"}
_NO_THREAD = "can't start new thread"
_WHERE_LIMITED = (
    *("failed to map segment", "cannot map zero-fill", "cannot create shared object"),
    "could not create a primitive",
)
"""How the linker refuses a library that does not fit, and oneDNN a layer; each may mean something
else, too."""


def full_memory(error: BaseException, command: Sequence[str]) -> OutOfMemory | None:
    """What it says of memory; None: it is about something else. `command`: the words behind kd.

    Of a file that could not be read the reason counts, not what was made of it: it is not damaged.
    """
    smaller = [] if command and not {*command} & _TRAINING else [_SMALLER]
    for reason in _reasons(error):
        if _NO_THREAD in repr(reason):
            return OutOfMemory(
                "no further thread can be started: memory or their number is limited",
                "\n".join((*_limits("ulimit -v, ulimit -u"), "KD_WORKERS=0 KD_THREADS=1 kd ...")),
            )
        if isinstance(reason, MemoryError) or any(one in repr(reason) for one in FULL_MEMORY):
            file, named, _ = str(error).partition(": ")  # of what is a KdError
            where = f"{file}: " if named and isinstance(error, KdError) else ""
            return OutOfMemory(f"{where}out of memory", "\n".join((*_limits(), *smaller)))
        if any(one in str(reason) for one in _WHERE_LIMITED) and (limits := _limits()):
            return OutOfMemory("out of memory", "\n".join(limits))
    return None


def _reasons(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it was made of, but for what may quote a person's words."""
    reason: BaseException | None = error
    while reason is not None:
        if not isinstance(reason, KdError | ValueError | LookupError):
            yield reason
        reason = reason.__cause__


def _limits(by: str = "ulimit -v") -> list[str]:
    """How much this process may address, where that is limited."""
    if (most := addressable_bytes()) is None:
        return []
    return [
        f"this process may address {size_in_words(most)} ({by}): allow more; PyTorch with CUDA's "
        "libraries takes some 5 GB of addresses, kd predict and kd list half of one"
    ]
