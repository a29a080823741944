"""The array types of the house."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


Reals = NDArray[np.floating]


Ints = NDArray[np.integer]


Bools = NDArray[np.bool_]
