"""Does the number of threads that kd chooses cost anything, on an idle machine or a shared one?

    python benchmarks/threads.py [--models resnet18 resnet50] [--ways kd] [--json]

For each model and each way in which threads wait (as libgomp has it, as kd sets it, asleep at
once), in a process of its own, alone and beside a process that multiplies matrices on all cores:
kd's own trial, then steps of one thread, of all, and of the number that was chosen, in turns.
Target: chosen is never slower than the better of the two by more than 10%.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tables import add_json, say, show

from kdcli.core.openmp import BRIEFLY, WAITING

TARGET = 1.10
WAYS: dict[str, dict[str, str]] = {
    "as it comes": {},
    "kd": BRIEFLY,
    "asleep": {"OMP_WAIT_POLICY": "PASSIVE"},
}
TURNS, STEPS = 6, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    models = ["test_efficientnet", "mobilenetv3_small_100", "resnet18", "resnet50"]
    parser.add_argument("--models", nargs="*", default=models)
    parser.add_argument("--ways", nargs="*", default=[*WAYS], choices=[*WAYS])
    parser.add_argument("--one", help="of one model, in this process; for this file itself")
    add_json(parser)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(asked.one)))
        return
    say(
        asked,
        "ms of a step (median): neighbour, waiting, model: one thread, all, chosen (the trial's s)",
    )
    figures, worst = [], 0.0
    for busy, way, model in itertools.product((False, True), asked.ways, asked.models):
        with neighbour() if busy else nobody():
            found = in_its_own_process(model, WAYS[way])
        one, most, chosen = (1e3 * found[name] for name in ("one", "all", "chosen"))
        ratio = chosen / min(one, most)
        worst = max(worst, ratio) if way == "kd" else worst
        figures.append({"busy": busy, "way": way, "model": model, "ratio": ratio, **found})
        say(
            asked,
            f"{'busy' if busy else 'idle'}  {way:11}  {model:22} {one:7.1f} {most:7.1f} "
            f"{chosen:7.1f} on {found['threads']} ({found['trial']:.1f} s): {ratio:.2f}",
        )
    show(asked, figures, [f"worst of kd's: {worst:.2f}; target at most {TARGET}"])


def in_its_own_process(model: str, environment: dict[str, str]) -> dict[str, Any]:
    """How threads wait is settled when torch is loaded."""
    others = {k: v for k, v in os.environ.items() if k not in (*WAITING, "OMP_NUM_THREADS")}
    line = [sys.executable, __file__, "--one", model]
    done = subprocess.run(
        line, env=others | environment, check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(model: str) -> dict[str, Any]:
    """Of `kd train MODEL` on digits: the trial of its plan, then its steps in turns."""
    import torch

    from kdcli.commands.train import train_job
    from kdcli.core.progress import Silent
    from kdcli.plan.ask import Ask
    from kdcli.training.build import assemble
    from kdcli.training.loop import rehearse
    from kdcli.training.stepper import Stepper
    from kdcli.training.threads import numbers, using

    with tempfile.TemporaryDirectory() as folder:
        os.environ["KD_RUNS"] = folder
        job = train_job(Ask("supervised", model=model, device="cpu"), Silent())
        train = job.spec.recipe.train
        site, counts = job.site(Silent()), numbers(job.device)
        parts = assemble(job.spec, site, [], rehearsal=True)
        feed = itertools.chain.from_iterable(parts.batches(0) for _ in itertools.count())
        start = time.perf_counter()
        threads, _ = rehearse(parts.distiller, train, feed, job.device, model, counts)
        trial = time.perf_counter() - start
        stepper = Stepper(parts.distiller, train, parts.steps_per_epoch)
        seconds: dict[int, list[float]] = {1: [], counts[0]: [], threads: []}
        number = itertools.count()
        for _ in range(TURNS):
            for count, found in seconds.items():
                with using(count):
                    for step in range(STEPS + 1):
                        start = time.perf_counter()
                        stepper.step(next(feed), 0, next(number) % parts.steps_per_epoch)
                        if step:  # the first one starts threads
                            found.append(time.perf_counter() - start)
    medians = {count: statistics.median(found) for count, found in seconds.items()}
    return {
        "one": medians[1],
        "all": medians[counts[0]],
        "chosen": medians[threads],
        "threads": threads,
        "trial": trial,
        "torch": torch.__version__,
    }


@contextmanager
def neighbour() -> Iterator[None]:
    """Another program that keeps all cores busy."""
    code = "import torch\na = torch.randn(800, 800)\nwhile True: a @ a"
    busy = subprocess.Popen([sys.executable, "-c", code])
    time.sleep(5)  # torch is being loaded
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


@contextmanager
def nobody() -> Iterator[None]:
    yield


if __name__ == "__main__":
    main()
