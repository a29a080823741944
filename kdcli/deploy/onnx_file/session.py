"""An ONNX file is run by onnxruntime, on the processor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdcli.core.arrays import Floats
from kdcli.core.errors import DamagedFile, KdError, OutOfMemory
from kdcli.core.text import first_line
from kdcli.deploy.onnx_file.pixels import PROBABILITIES
from kdcli.deploy.onnx_file.read import EXPORT_AGAIN, Port, inputs, load, messages

if TYPE_CHECKING:
    from onnx import ModelProto

KNOWN = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
"""Domains of the operators that onnxruntime has itself."""
MOST_NUMBERS = 2**30
"""Of what it takes at a time: 4 GB."""
LONGEST, EACH = 60.0, 5.0
"""Seconds that a file with loops is given, and for each image."""


@dataclass(frozen=True, eq=False)
class Session:
    """The file as a function from images to its answers (B, K)."""

    takes: Port
    _run: Callable[[NDArray[Any]], Floats]
    gives_probabilities: bool = False
    """Else logits."""

    @property
    def fixed(self) -> int | None:
        """How many images it takes at a time; None: any number."""
        batch = self.takes.shape[0]
        return batch if isinstance(batch, int) else None

    def __call__(self, images: NDArray[Any]) -> Floats:
        """In parts where the file takes a fixed number of images, the last one filled up."""
        if (fixed := self.fixed) is None:
            return self._run(images)
        starts = range(0, len(images), fixed)
        return np.concatenate([self._run(filled(images[i : i + fixed], fixed)) for i in starts])[
            : len(images)
        ]

    def one_image(self, side: int) -> NDArray[Any]:
        """Black, as the file takes it; where it takes any size, `side` x `side` pixels: said by
        whoever compares, as files fed with images of two sizes cannot be compared."""
        sides = [side if isinstance(known, str) else known for known in self.takes.shape[1:]]
        return np.zeros((self.fixed or 1, *sides), self.takes.dtype)


def _nodes(proto: ModelProto) -> Iterator[Any]:
    """Those of its functions and inner graphs, too."""
    return (each for each in messages(proto) if each.DESCRIPTOR.name == "NodeProto")


def _refuse_custom_operators(proto: ModelProto, path: Path) -> None:
    """They are code of a library that is not here, and that kd would not load."""
    own = {(function.domain, function.name) for function in proto.functions}
    foreign = {
        f"{node.domain}.{node.op_type}"
        for node in _nodes(proto)
        if node.domain not in KNOWN and (node.domain, node.op_type) not in own
    }
    if foreign:
        raise DamagedFile(
            f"{path}: needs custom operators, {', '.join(sorted(foreign))}",
            "export it with ONNX's own operators alone",
        )


def _ended(run: Callable[[NDArray[Any], Any], Floats], path: Path, images: NDArray[Any]) -> Floats:
    """What it answers, if it does: a loop may go on for ever."""
    import onnxruntime

    how = onnxruntime.RunOptions()
    how.log_severity_level = 4  # it would tell of its end, too
    seconds = LONGEST + EACH * len(images)
    watch = Timer(seconds, setattr, (how, "terminate", True))
    watch.daemon = True
    watch.start()
    try:
        return run(images, how)
    except Exception as error:
        if not how.terminate:
            raise
        raise DamagedFile(
            f"{path}: no answer within {seconds:.0f} seconds, it has loops that may never end",
            EXPORT_AGAIN,
        ) from error
    finally:
        watch.cancel()


def filled(images: NDArray[Any], count: int) -> NDArray[Any]:
    """`count` images, the last one repeated where there are fewer."""
    lacking = count - len(images)
    return np.concatenate([images, np.repeat(images[-1:], lacking, axis=0)]) if lacking else images


def _told(error: Exception, path: Path) -> KdError:
    """onnxruntime's errors have no common class of their own."""
    if "Failed to allocate" in str(error):
        return OutOfMemory(f"{path}: {first_line(error)}", "it needs more memory than there is")
    return DamagedFile(f"{path}: onnxruntime cannot run it: {error}", EXPORT_AGAIN)


def _images(ports: Sequence[Port], path: Path) -> Port:
    """Its only input, where that is images; refused before anybody makes room for them."""
    takes = ports[0]
    if len(ports) != 1 or len(takes.shape) != 4 or takes.dtype not in ("float32", "uint8"):
        said = ", ".join(f"{one.dtype} {one.shape}" for one in ports)
        raise DamagedFile(f"{path}: takes {said}, no images", EXPORT_AGAIN)
    known = [side for side in takes.shape if isinstance(side, int)]
    if any(side < 1 for side in known) or math.prod(known) > MOST_NUMBERS:
        raise DamagedFile(f"{path}: takes images {takes.shape}", EXPORT_AGAIN)
    return takes


def open_session(path: Path, threads: int = 1) -> Session:
    """The file, ready to run on `threads` CPU cores.

    Raises:
        UsageError: there is none.
        DamagedFile: it is no ONNX file, or onnxruntime cannot run it; also when it is run, where
            it has loops that do not end.
    """
    import onnxruntime

    proto = load(path)
    _refuse_custom_operators(proto, path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class of their own
        raise _told(error, path) from error
    takes = _images(inputs(proto), path)

    def run(images: NDArray[Any], how: Any = None) -> Floats:
        try:
            answer: Floats = session.run(None, {takes.name: images}, how)[0]
        except Exception as error:
            raise _told(error, path) from error
        if np.ndim(answer) < 2 or len(answer) != len(images):
            raise DamagedFile(
                f"{path}: gives {np.shape(answer)} of {len(images)} images, not (images, classes)",
                EXPORT_AGAIN,
            )
        return answer

    if any(node.op_type == "Loop" for node in _nodes(proto)):
        run = partial(_ended, run, path)
    return Session(takes, run, proto.graph.output[0].name == PROBABILITIES)
