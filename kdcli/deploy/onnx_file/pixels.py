"""An ONNX file of a core is dressed: it takes the pixels of images, and gives probabilities.

B images, K classes. Opset 18 gave Resize its antialias: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcli.core.errors import UsageError
from kdcli.data.images import STRIP
from kdcli.deploy.onnx_file.read import Port, inputs, opset_of

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

PIXELS, PROBABILITIES = "pixels", "probabilities"
RESIZES = 18
"""The first opset that resizes as Pillow does."""
_BICUBIC: dict[str, Any] = {
    "mode": "cubic",
    "antialias": 1,
    "cubic_coeff_a": -0.5,
    "exclude_outside": 1,
    "coordinate_transformation_mode": "half_pixel",
}
"""As Pillow does, and PyTorch with antialias: Keys' kernel with a = -0.5 (ONNX's own is -0.75)."""


@dataclass(frozen=True)
class Front:
    """What stands between pixels and a core."""

    image_size: int
    """Pixels of a side that images have, or are cut to."""
    mean: tuple[float, ...]
    """Of the three channels, in [0, 1]; so is `std`."""
    std: tuple[float, ...]
    resize: bool = False
    """Images are of any height and width, and cut to size in the graph."""
    crop_pct: float = 1.0
    """Share of the shorter side that is left then."""


def with_pixels(core: ModelProto, front: Front) -> ModelProto:
    """(B, 3, H, W) float32 -> logits becomes pixels (B, S, S, 3) uint8 RGB -> probabilities (B, K).

    S is the image size; where the core takes another, the graph resizes as `Tap.prepare` does.
    With `resize` images are (B, height, width, 3), and the graph first does what `data.images.fit`
    does: at most 1 of 255 away from it.

    Raises:
        UsageError: something is to be resized, and the core's opset is below 18.
    """
    import onnx

    (taken,), (given,) = inputs(core), core.graph.output
    size = int(taken.shape[-1])
    resizes = front.resize or size != front.image_size
    if resizes and opset_of(core) < RESIZES:
        raise UsageError(
            f"opset {opset_of(core)} cannot resize as Pillow does, opset {RESIZES} can",
            f"--opset {RESIZES}, or --input tensor",
        )
    chain = _Chain(PIXELS)
    if front.resize:
        _fit(chain, front.image_size, math.floor(front.image_size / front.crop_pct))
    else:
        chain.then("Cast", to=onnx.TensorProto.FLOAT)
    if size != front.image_size:
        _resize(chain, size)
    chain.then("Transpose", perm=[0, 3, 1, 2])
    mean, std = (np.array(values).reshape(1, 3, 1, 1) for values in (front.mean, front.std))
    chain.then("Mul", chain.floats(1 / (255 * std)))
    chain.then("Add", chain.floats(-mean / std), gives=taken.name)
    softmax = onnx.helper.make_node("Softmax", [given.name], [PROBABILITIES], axis=-1)
    sides = ["height", "width"] if front.resize else [front.image_size] * 2
    return _dressed(core, chain, softmax, [taken.shape[0], *sides, 3])


def takes_pixels(port: Port) -> bool:
    """Whether a file's input is that of `with_pixels`."""
    return port.name == PIXELS


def takes_any_size(port: Port) -> bool:
    """Whether it resizes the images itself."""
    return takes_pixels(port) and isinstance(port.shape[1], str)


class _Chain:
    """Nodes that follow each other, and the constants they take."""

    def __init__(self, last: str) -> None:
        self.last = last
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def then(self, kind: str, *others: str, gives: str = "", **attributes: Any) -> str:
        """One more node, which takes what the last one gave, and others."""
        from onnx import helper

        name = gives or f"{PIXELS}.{len(self.nodes)}.{kind}"
        self.nodes.append(helper.make_node(kind, [self.last, *others], [name], **attributes))
        self.last = name
        return name

    def floats(self, values: Any) -> str:
        return self._constant(np.asarray(values, np.float32))

    def integers(self, values: Sequence[int]) -> str:
        return self._constant(np.asarray(values, np.int64))

    def _constant(self, values: Any) -> str:
        from onnx import numpy_helper

        name = f"{PIXELS}.constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name


def _fit(chain: _Chain, size: int, scaled: int) -> None:
    """As `data.images.fit`: the shorter side at `scaled` pixels, of that the middle, `size` a side.

    Whole pixel values after each pass, halves rounded up, as Pillow has it.
    """
    from onnx import TensorProto

    middle = _without_ends(chain)
    sides = chain.then("Shape", start=1, end=3)
    short = chain.then("ReduceMin", keepdims=1)
    chain.last = sides
    chain.then("Mul", chain.integers([scaled]))
    lengths = chain.then("Div", short)
    chain.then("Sub", chain.integers([size]))
    chain.then("Cast", to=TensorProto.FLOAT)
    chain.then("Mul", chain.floats(0.5))
    chain.then("Round")  # halves to the even number, as Python
    corner = chain.then("Cast", to=TensorProto.INT64)
    chain.last = middle
    chain.then("Cast", to=TensorProto.FLOAT)
    for side, shape in ((1, [0, 1, -1, 3 * size]), (0, [0, size, size, 3])):
        image, one = chain.last, chain.integers([side])
        chain.last = lengths
        length = chain.then("Gather", one)
        chain.last = corner
        start = chain.then("Gather", one)
        end = chain.then("Add", chain.integers([size]))
        chain.last = image
        chain.then("Resize", "", "", length, axes=[2], **_BICUBIC)
        chain.then("Add", chain.floats(0.5))
        chain.then("Floor")
        chain.then("Clip", chain.floats(0), chain.floats(255))  # bicubic overshoots
        chain.then("Slice", start, end, chain.integers([2]))
        chain.then("Reshape", chain.integers(shape))


def _without_ends(chain: _Chain) -> str:
    """The middle of a strip; of any other image (B, height, width, 3) all of it."""
    sides = chain.then("Shape", start=1, end=3)
    chain.then("ReduceMin", keepdims=1)
    longest = chain.then("Mul", chain.integers([STRIP]))
    chain.last = sides
    chain.then("Sub", longest)
    chain.then("Max", chain.integers([0]))
    start = chain.then("Div", chain.integers([2]))
    end = chain.then("Add", longest)
    chain.last = PIXELS
    return chain.then("Slice", start, end, chain.integers([1, 2]))


def _resize(chain: _Chain, size: int) -> None:
    """Squares (B, S, S, 3) to `size` a side, as the tap does: rows first, then columns, the last
    two axes each.

    In front of the transposition: onnxruntime's optimiser, which moves one past a Resize, misreads
    `axes`.
    """
    for shape in ([0, 1, -1, 3 * size], [0, size, size, 3]):
        chain.then("Resize", "", "", chain.integers([size]), axes=[2], **_BICUBIC)
        chain.then("Reshape", chain.integers(shape))
    chain.then("Clip", chain.floats(0), chain.floats(255))


def _dressed(
    core: ModelProto, chain: _Chain, softmax: NodeProto, shape: list[int | str]
) -> ModelProto:
    """The core between them, under its own opset."""
    from onnx import ModelProto, TensorProto, helper

    proto = ModelProto()
    proto.CopyFrom(core)
    graph = proto.graph
    nodes = [*chain.nodes, *graph.node, softmax]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(chain.constants)
    graph.value_info.extend([*graph.input[:1], *graph.output])
    graph.input[0].CopyFrom(helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, shape))
    graph.output[0].name = PROBABILITIES
    return proto
