"""What torch.compile makes of a step: `train.compile: true` against false, a step of each in turn.

    python benchmarks/compile.py [--sizes 32 64] [--steps 12] [--json]
    python benchmarks/compile.py --device cuda --sizes 32 64 224 --batch 256 --steps 50

resnet101 -> mobilenetv3_small_100, all that a step computes: both forward passes, the loss, the
backward pass, the update; and the teacher's answers alone. Seconds to compile are those of both
models, from an empty cache.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from step import STUDENT, TEACHER, in_turn, kd_parts, one_step
from tables import add_json, say, show

from kdcli.core.records import Batch
from kdcli.models.teachers import Live
from kdcli.training.build import Assembled
from kdcli.training.devices import open_device


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="*", default=[32, 64])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--teacher", default=TEACHER)
    parser.add_argument("--student", default=STUDENT)
    parser.add_argument("--device", default="cpu")
    add_json(parser)
    asked = parser.parse_args()
    figures = []
    say(asked, "pixels  compiling   step: plain, compiled, ratio   teacher alone: the same")
    for size in asked.sizes:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
            found = measured(asked, size, Path(folder))
        figures.append(found)
        say(
            asked,
            f"{size:6}  {found['compiling']:7.0f} s   {in_ms(found['step'])}   "
            f"{in_ms(found['teacher'])}",
        )
    show(asked, figures, [])


def measured(asked: argparse.Namespace, size: int, folder: Path) -> dict[str, Any]:
    """At so many pixels a side; seconds."""
    device = open_device(asked.device)

    def parts(*settings: str) -> Assembled:
        who = {"teacher": asked.teacher, "student": asked.student}
        return kd_parts(folder, device, *settings, size=size, batch=asked.batch, **who)[1]

    start = time.perf_counter()
    plain = parts()
    built = time.perf_counter()
    made = parts("train.compile=true")  # what cannot be compiled would be told of on stderr
    compiling = (time.perf_counter() - built) - (built - start)
    batch = next(plain.batches(0)).to(device)
    steps = one_step(plain.distiller, batch), one_step(made.distiller, batch)
    answers = answer(plain, batch), answer(made, batch)
    return {
        "pixels": size,
        "compiling": compiling,
        "step": medians(in_turn(*steps, asked.steps, device)),
        "teacher": medians(in_turn(*answers, asked.steps, device)),
    }


def answer(parts: Assembled, batch: Batch) -> Callable[[], Any]:
    """The teacher's part of a step."""
    (teacher,) = parts.distiller.teachers.values()
    assert isinstance(teacher, Live)
    return lambda: teacher(batch)


def medians(pairs: list[tuple[float, float]]) -> dict[str, float]:
    """Of both, and of the ratio of neighbours."""
    plain, compiled = zip(*pairs, strict=True)
    each = {"plain": plain, "compiled": compiled, "ratio": [b / a for a, b in pairs]}
    return {name: statistics.median(values) for name, values in each.items()}


def in_ms(found: dict[str, float]) -> str:
    return f"{1e3 * found['plain']:6.0f} {1e3 * found['compiled']:6.0f} ms {found['ratio']:.2f}"


if __name__ == "__main__":
    main()
