"""Which models of a training are compiled (`train.compile`), and what is said of it."""

import time
from collections.abc import Iterable

from kdcli.core.progress import Progress
from kdcli.core.records import Batch
from kdcli.core.text import duration, some
from kdcli.models.compiled import try_compiled
from kdcli.models.tap import Tap
from kdcli.models.teachers import Live
from kdcli.training.distiller import Distiller

TOLD = 4
"""So many models are named."""


def compile_models(
    distillers: Iterable[Distiller], example: Batch, accumulate: int, progress: Progress
) -> None:
    """Compile everybody's forward pass, and the backward pass of who learns, for batches like
    `example`, which passes in so many parts.

    After the distillers are built: by then every tap knows what it has to show. One that cannot be
    compiled is told of, and goes on without; answers are the same but for rounding.
    """
    start = time.monotonic()
    # parts differ by one image at most
    parts = {len(part.labels): part for _, part in example.parts(accumulate)}.values()
    found: dict[str, str] = {}
    for tap, learns in _taps(distillers):
        name = f"{tap.by} {tap.args.words}"
        for part in parts:
            found[name] = found.get(name) or try_compiled(tap, part, learns)
    for name, why in found.items():
        if why:
            progress.warn(f"{name} is not compiled, and goes on without: {why}")
    if done := [name for name, why in found.items() if not why]:
        progress.say(f"compiled in {duration(time.monotonic() - start)}: {some(done, TOLD)}")


def _taps(distillers: Iterable[Distiller]) -> Iterable[tuple[Tap, bool]]:
    """Those that can be, and whether they learn; a teacher that learns along is asked both ways."""
    for each in distillers:
        yield from ((one, True) for one in each.learners.values() if isinstance(one, Tap))
        yield from ((one.tap, False) for one in each.teachers.values() if isinstance(one, Live))
