"""Two processes of one thread each against one of two threads: images a second of one training.

    python benchmarks/processes.py [--size 128] [--model mobilenetv3_small_100] [--teacher RUN]

Whole trainings on the built-in digits, by turns, each anew, of a finished teacher where one is
named (asked live) and else from labels; what counts are the seconds of their epochs in
metrics.jsonl, without the first. Target: 0.9 (CPU). On GPUs compare `--devices 1,2,4`, a process
each, the batch growing with them: weak scaling, target 0.95.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from tables import add_json, say, show

BATCH, STEPS, EPOCHS = 64, 25, 3


@dataclass(frozen=True)
class Row:
    """One way of training; medians over rounds."""

    processes: int
    threads: int
    images_a_second: float
    of_the_first: float
    """The same, over that of the first way in the same round."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="mobilenetv3_small_100")
    parser.add_argument("--teacher", help="A finished run.")
    parser.add_argument("--size", type=int, default=32, help="Pixels of a side.")
    parser.add_argument("--devices", help="So many GPUs, by turns: 1,2,4.")
    add_json(parser)
    asked = parser.parse_args()
    gpus = [int(one) for one in (asked.devices or "").split(",") if one]
    ways = [(count, 0) for count in gpus] or [(1, 2), (2, 1)]
    found: dict[tuple[int, int], list[float]] = {way: [] for way in ways}
    for number in range(asked.rounds):
        for way in ways:
            found[way].append(speed(asked, *way))
            say(asked, f"round {number + 1}: {way[0]} x {way[1] or 'GPU'}: {found[way][-1]:.0f} /s")
    per = {way: way[0] if gpus else 1 for way in ways}  # weak scaling is per GPU
    rows = [
        Row(
            *way,
            statistics.median(speeds),
            statistics.median(
                mine / per[way] / first * per[ways[0]]
                for mine, first in zip(speeds, found[ways[0]], strict=True)
            ),
        )
        for way, speeds in found.items()
    ]
    lines = (
        f"{row.processes} x {row.threads or 'GPU'}: {row.images_a_second:.0f} images a second, "
        f"{row.of_the_first:.2f} of the first"
        for row in rows
    )
    show(asked, [asdict(row) for row in rows], lines)


def speed(asked: argparse.Namespace, processes: int, threads: int) -> float:
    """Images a second, all processes together; `threads` 0: on GPUs, the batch grows with them."""
    batch = BATCH if threads else BATCH * processes
    settings = {
        "train.epochs": EPOCHS,
        "train.batch_size": batch,
        "train.epoch_images": batch * STEPS,
        "train.patience": "null",
        "data.image_size": asked.size,
    }
    runs = Path(tempfile.mkdtemp())
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    teacher, model = asked.teacher, asked.model
    verb = ["distill", "--teacher", teacher, "--student", model] if teacher else ["train", model]
    sets += ["--set", "teacher.answers=live"] if teacher else []
    line = [sys.executable, "-m", "kdcli", *verb, "--processes", str(processes), *sets]
    environment = os.environ | {"KD_RUNS": str(runs)}
    environment |= {"KD_THREADS": str(threads)} if threads else {}
    try:
        device = "cpu" if threads else "cuda"
        subprocess.run(
            [*line, "--device", device], env=environment, check=True, capture_output=True
        )
        (log,) = runs.glob("*/metrics.jsonl")
        epochs = [one for one in map(json.loads, log.read_text().splitlines()) if "epoch" in one]
        seconds = sum(float(one["seconds"]) for one in epochs[1:])
        return batch * STEPS * (EPOCHS - 1) / seconds
    finally:
        shutil.rmtree(runs)


if __name__ == "__main__":
    main()
