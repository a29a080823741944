"""Seconds, and bytes of memory, from a folder of many images to the first step.

    python benchmarks/open.py [--images 20000] [--json]

Makes so many small JPEGs in a temporary folder, as ImageNet names its files: 90% train, 5% each
validation and test, 1,000 a class. Then what `kd distill` does before its first step: the source is
opened and surveyed, validation and test are tried. A process each for the first start, the second,
one after 100 files have changed, and one more under tracemalloc. Modules are loaded before.
Targets: a second start of at most 2 s per 100,000 images, 200 bytes held per image.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tables import add_json, show

from kdcli.core.progress import Silent
from kdcli.data.file_sums import SETTLED
from kdcli.data.quality.survey import refuse_undecodable
from kdcli.data.source import Source
from kdcli.plan.data import open_data

STARTS = ("first", "second", "100 changed", "traced")
SHARES = {"train": 0.9, "val": 0.05, "test": 0.05}
SIDE, A_CLASS, CHANGED = 32, 1000, 100


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=20_000)
    add_json(parser)
    parser.add_argument("--start", nargs=2, metavar=("DATA", "HOW"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.start:
        print(json.dumps(start(*asked.start)))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), asked.images)
    show(asked, found, table(found))


def table(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['images']:,} images     s per 100,000   of processor   peak bytes per image"
    for how, row in found["starts"].items():
        took, worked, peak = row.values()
        yield f"{how:15} {took:16.2f} {worked:14.2f} {peak:22,.0f}"
    held, most = found["held_per_image"], found["most_per_image"]
    yield f"second start, bytes per image: {held:.0f} held, {most:.0f} at most, by tracemalloc"


def measured(folder: Path, images: int) -> dict[str, Any]:
    """What each start took; the one that is traced tells what is held, and is not timed."""
    files = make(folder / "data", images)
    starts = {}
    for how in STARTS:
        if how == "100 changed":
            changed = files[:: max(1, len(files) // CHANGED)][:CHANGED]
            for number, file in enumerate(changed):
                save(file, len(files) + number)
        time.sleep(SETTLED / 1e9)
        command = [sys.executable, __file__, "--start", str(folder / "data"), how]
        environment = os.environ | {"KD_CACHE": str(folder / "cache")}
        starts[how] = json.loads(
            subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
        )
    traced = starts.pop("traced")
    per_image = {
        how: {
            "seconds_per_100_000": row["seconds"] * 1e5 / images,
            "processor_seconds_per_100_000": row["processor"] * 1e5 / images,
            "peak_per_image": row["peak"] / images,
        }
        for how, row in starts.items()
    }
    return {
        "images": images,
        "starts": per_image,
        "held_per_image": traced["held"] / images,
        "most_per_image": traced["peak"] / images,
    }


def start(data: str, how: str) -> dict[str, float]:
    """Of this process: `seconds`; `peak` bytes more than it had before, and `held` ones."""
    with tempfile.TemporaryDirectory() as small:
        make(Path(small), 200)
        ready(small)
    traced = how == "traced"
    if traced:
        tracemalloc.start()
    before, begun, worked = peak_bytes(), time.perf_counter(), time.process_time()
    source = ready(data)
    seconds, of_processor = time.perf_counter() - begun, time.process_time() - worked
    held, peak = tracemalloc.get_traced_memory() if traced else (0, peak_bytes() - before)
    assert len(source.train)  # still there
    return {"seconds": seconds, "processor": of_processor, "held": held, "peak": peak}


def ready(data: str) -> Source:
    """All that comes before the first step and looks at every image."""
    source, _ = open_data(data, Silent())
    refuse_undecodable((source.validation, source.test), Silent())
    return source


def peak_bytes() -> int:
    """The most that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def make(folder: Path, images: int) -> list[Path]:
    """Files of noise, each of its own: of equal ones kd would tell."""
    files = []
    for split, share in SHARES.items():
        count = round(images * share)
        classes = max(2, images // A_CLASS)
        for number in range(count):
            name = f"n{number % classes:08d}"
            files.append(folder / split / name / f"{name}_{number // classes}.JPEG")
    for number, file in enumerate(files):
        if not file.parent.exists():
            file.parent.mkdir(parents=True)
        save(file, number)
    return files


def save(file: Path, seed: int) -> None:
    """A picture of noise that is a function of `seed`."""
    noise = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    Image.fromarray(noise).save(file)


if __name__ == "__main__":
    main()
