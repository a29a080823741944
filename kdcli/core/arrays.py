"""The array types of the house, by what their numbers are; shapes stand where arrays are named."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
"""What models take and give: images, logits, probabilities."""
Doubles = NDArray[np.float64]
"""What statistics are computed in, so that sums over many images keep their digits."""
Reals = NDArray[np.floating]
"""Either of them."""
Indices = NDArray[np.int64]
"""Classes by their numbers (labels, answers), or images by their places in a split."""
Ints = NDArray[np.integer]
"""Whole numbers of any width."""
Hashes = NDArray[np.uint64]
"""Random bits, of `data.order.hashes`."""
Pixels = NDArray[np.uint8]
"""An image as decoded: RGB, 0 to 255, channels last where nothing else is said."""
Bools = NDArray[np.bool_]
"""Yes or no for each, such as which images a model got right."""
