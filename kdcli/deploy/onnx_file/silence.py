"""Libraries that print and warn while they work are kept quiet."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from warnings import catch_warnings, simplefilter


@contextmanager
def silence() -> Iterator[None]:
    """Keep their prints off stdout, where results belong, and their advice off stderr."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), catch_warnings():
            simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
