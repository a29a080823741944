"""Plain values that people keep beside weights: numbers of NumPy, paths, dates. None holds code."""

import datetime
import decimal
import fractions
import pathlib
import uuid
from collections import Counter, deque
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy._core import multiarray


def harmless() -> tuple[Any, ...]:
    """Classes and functions for `torch.serialization.safe_globals`; (one, its name) where a file
    calls it otherwise than it is called here.

    NumPy's arrays of objects stay refused: their dtype is not among these. A path is read as one
    without a file system, since a Windows path cannot be made elsewhere.
    """
    return (*_numpy(), *_paths(), *_OTHERS)


def _plain_dict(*_: Any) -> dict[Any, Any]:
    """torch fills no other mapping, and what a missing key would make does not matter."""
    return {}


_OTHERS = (
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone),
    *(decimal.Decimal, fractions.Fraction, uuid.UUID, SimpleNamespace),
    *(Counter, deque, frozenset, range, slice, list, dict, int, float, str),
    (_plain_dict, "collections.defaultdict"),
)


def _numpy() -> tuple[Any, ...]:
    kinds = [np.dtype(letter) for letter in "?bhilqBHILQefdgFDSUMm"]
    functions = [("scalar", multiarray.scalar), ("_reconstruct", multiarray._reconstruct)]
    named = [
        (function, f"{module}.{name}")
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name, function in functions
    ]
    return (np.ndarray, np.dtype, *dict.fromkeys(map(type, kinds)), *named)


def _paths() -> tuple[Any, ...]:
    modules = ("pathlib", "pathlib._local")  # the latter in files of Python 3.13
    names = ("PosixPath", "WindowsPath", "Path", "PurePosixPath", "PureWindowsPath", "PurePath")
    flavours = {"W": pathlib.PureWindowsPath, "P": pathlib.PurePosixPath}
    return tuple(
        (flavours["W" if "Windows" in name else "P"], f"{module}.{name}")
        for module in modules
        for name in names
    )
