"""How long a training waits for its images: on a GPU that is what most of them do."""

import time
from collections.abc import Iterator

from kdcli.core.records import Batch
from kdcli.core.text import duration

NOTABLE = 0.2
"""Share of an epoch above which something is said."""
TOLD_AT, LEAST_SECONDS = 2, 10.0
"""After which epoch: the first may have decoded what the later ones find. Of shorter epochs nobody
needs to hear."""


class Waiting:
    """A clock that runs while the next batch is not there yet."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """An epoch begins."""
        self._waited, self._start, self._images = 0.0, time.monotonic(), 0

    def over(self, feed: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches."""
        while True:
            start = time.monotonic()
            batch = next(feed, None)
            self._waited += time.monotonic() - start
            if batch is None:
                return
            self._images += len(batch.labels)
            yield batch

    def close(self) -> dict[str, float]:
        """What metrics.jsonl has of an epoch that ends: seconds of its steps, without validation,
        and how many of these were waited."""
        return {
            "seconds": round(time.monotonic() - self._start, 3),
            "waited": round(self._waited, 3),
        }

    def words(self, line: dict[str, float], last: int) -> str:
        """What is said of the epoch in `line`, of `last` epochs; empty where there is no need."""
        seconds, waited = line["seconds"], line["waited"]
        few = seconds < LEAST_SECONDS or waited <= NOTABLE * seconds
        if few or line["epoch"] != min(TOLD_AT, last):
            return ""
        return (
            f"{waited / seconds:.0%} of epoch {line['epoch']} ({duration(seconds)}) was waiting "
            f"for images ({self._images / seconds:,.0f} a second came): KD_WORKERS=N in the "
            "environment makes them in N processes; kd doctor says how many a second there can be"
        )
