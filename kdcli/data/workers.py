"""How many processes make batches, and what it means when one is lost; without torch."""

import multiprocessing
import os
import re
from multiprocessing.queues import SimpleQueue

from kdcli.core.errors import DataError, UsageError

LONGEST_WAIT = 600
"""Seconds for one batch, after which its process hangs rather than works: a network disk that is
gone would block for ever."""


def worker_count(suggested: int) -> int:
    """`$KD_WORKERS`, else the number suggested; 0: the batches are made in this process.

    No number changes a bit of a batch. Raises UsageError for what is no number.
    """
    wanted = os.environ.get("KD_WORKERS") or str(suggested)
    if not re.fullmatch(r"\d{1,3}", wanted):  # 999 at most: more is a typo
        raise UsageError(
            f"KD_WORKERS={wanted}: not a number of processes",
            "0 makes the batches without further processes, 2 or 4 suit most machines",
        )
    return int(wanted)


def refuse_no_workers(workers: int) -> None:
    """Raise DataError where so many processes cannot be spoken to, before torch fails halfway.

    They need locks, which Linux keeps in /dev/shm (batches do not go there), and some open files.
    """
    try:
        tried: list[SimpleQueue[None]] = [
            multiprocessing.SimpleQueue() for _ in range(2 * workers + 2)
        ]
    except OSError as error:
        raise DataError(
            f"processes that make batches cannot work here ({error.strerror or error})",
            "set KD_WORKERS=0 in the environment (no further processes), or give them a writable "
            "/dev/shm with a megabyte of room, and ulimit -n of 256 or more",
        ) from error
    for queue in tried:
        queue.close()


def lost_worker(error: BaseException) -> DataError | None:
    """What torch's words about a worker process mean; None if they are about something else.

    torch raises plain RuntimeErrors, partly from a signal handler, wherever the program is just
    then: that is why `cli/entry.py` asks here of any error that reaches it.
    """
    if not isinstance(error, RuntimeError) or not str(error).startswith("DataLoader "):
        return None
    text = f"{error} {error.__cause__}"  # the signal is named by either
    signal = re.search(r"killed by signal: ([\w ]+)", text)
    if "timed out" in text:
        return DataError(
            f"no batch has come for {LONGEST_WAIT // 60} minutes: reading the images hangs",
            "see whether their disk answers; the same command goes on from the last finished "
            "epoch, with KD_WORKERS=0 in the environment without further processes",
        )
    if "DataLoader worker" not in text:
        return None
    how = f"was ended (signal: {signal[1]})" if signal else "has ended by itself"
    return DataError(
        f"a process that makes batches {how}; memory may be full",
        "the same command goes on from the last finished epoch; smaller --set data.image_size=... "
        "or --set train.batch_size=... need less memory, and so does KD_WORKERS=0 in the "
        "environment (no further processes)",
    )
