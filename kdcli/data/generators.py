"""The global random generators that Pillow's and timm's per-image code draws from, lent out."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def seeded_globals(key: int) -> Iterator[None]:
    """Python's and NumPy's generators start at `key` (64 bits) inside, and are put back behind."""
    python, numpy = random.getstate(), np.random.get_state()
    random.seed(key)
    np.random.seed([key & 0xFFFFFFFF, key >> 32])
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
