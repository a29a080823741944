"""What a teacher costs that is asked once: steps, filling, and ten students.

    python benchmarks/store.py [--steps 30] [--students 10] [--epochs 8] [--json]

resnet101 -> mobilenetv3_small_100, digits at 32 x 32 pixels, batch 64, one thread unless
`OMP_NUM_THREADS` says otherwise; the teacher's weights do not matter for time. What is compared
takes turns: a machine that slows down slows both.

step    a step whose teacher is looked up, over one that learns from labels alone: at most 1.03;
        and one whose teacher is asked live, over the same
fill    images a second while a store is filled, over those of the bare model on ready batches: at
        least 0.95
many    students of five recipes, their seeds in turn, over one pass of the teacher through all
        views and as many trainings from labels: at most 1.1
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tables import add_json, say, show

from kdcli.core.progress import Silent
from kdcli.core.records import Batch
from kdcli.data.loader import view_batches
from kdcli.data.source import Source
from kdcli.data.store import open_store
from kdcli.models.build import build, plan
from kdcli.models.checkpoint import ModelFile, save_model
from kdcli.plan.data import open_data
from kdcli.plan.job import Shared
from kdcli.plan.lineage import Roles, distill_spec
from kdcli.plan.names import Start
from kdcli.recipe.load import load_recipe
from kdcli.runs.baseline import baseline_of
from kdcli.runs.spec import DataRef, Spec
from kdcli.training.answers.decide import decide
from kdcli.training.answers.stored_teachers import batch_size, open_stored
from kdcli.training.batching import batching_of
from kdcli.training.build import assemble
from kdcli.training.devices import open_device, wait_for
from kdcli.training.ensure import ensure
from kdcli.training.site import Site
from kdcli.training.stepper import Stepper
from kdcli.training.teachers import open_teachers

TEACHER, STUDENT, SIZE, BATCH = "resnet101", "mobilenetv3_small_100", 32, 64
RECIPES = ("kd", "dkd", "dist", "kd_mse", "ctkd")
TARGETS = {"step": 1.03, "fill": 0.95, "many": 1.1}
Found = dict[str, float]


class Bench:
    """The data, an untrained teacher, and specs of its students."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        opened: tuple[Source, DataRef] = open_data("digits", Silent())
        self.source, self.data = opened
        self.device, self.site = device, Site(self.source, device, Silent())
        args = plan(TEACHER, len(self.source.classes), SIZE, None)
        self.file = folder / "teacher.pt"
        weights = build(args).state_dict()
        save_model(ModelFile(args.as_dict(), weights, self.source.classes, {}), self.file)

    def spec(self, *settings: str, recipe: str = "kd", seed: int = 0) -> Spec:
        always = (f"data.image_size={SIZE}", f"train.batch_size={BATCH}")
        loaded = load_recipe(recipe, (*always, "teacher.allow_weak=true", *settings))
        shared = Shared(loaded, self.source, self.data, self.device)
        return distill_spec(Roles((str(self.file),), Start(STUDENT)), shared, seed)


def steps(bench: Bench, count: int) -> Found:
    """Of one view that epochs go round: its answers are there before the first step."""
    specs = {
        "stored": bench.spec("teacher.answers=stored", "teacher.views=1", "train.epochs=1000"),
        "live": bench.spec("teacher.answers=live", "teacher.views=1", "train.epochs=1000"),
    }
    specs["labels"] = baseline_of(specs["stored"])
    ready = {name: stepping(bench, spec) for name, spec in specs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in specs}
    for _ in range(count + 5):
        for name, step in ready.items():
            start = time.perf_counter()
            step()
            wait_for(bench.device)
            seconds[name].append(time.perf_counter() - start)
    ratios = {
        name: statistics.median(
            a / b for a, b in zip(seconds[name][5:], seconds["labels"][5:], strict=True)
        )
        for name in ("stored", "live")
    }
    milliseconds = {f"{k}_ms": 1e3 * statistics.median(v[5:]) for k, v in seconds.items()}
    return {"step": ratios["stored"], "step_live": ratios["live"]} | milliseconds


def stepping(bench: Bench, spec: Spec) -> Callable[[], None]:
    """One step of a training: the next batch, its answers, and what is learnt of them."""
    files = [bench.file] if spec.teachers else []
    parts = assemble(spec, bench.site, files, way=decide(spec, bench.site, files))
    stepper = Stepper(parts.distiller, spec.recipe.train, parts.steps_per_epoch)
    feed = enumerate(parts.answered(parts.batches(0)))

    def step() -> None:
        number, batch = next(feed)
        stepper.step(batch, spec.seed, number)

    return step


def fill(bench: Bench, views: int) -> Found:
    """A view that is asked about and written down, then the same images by the bare model."""
    spec = bench.spec("teacher.answers=stored", f"teacher.views={views}", f"train.epochs={views}")
    site, device = bench.site, bench.device
    splits = bench.source.train, bench.source.validation
    images = (open_store(splits[0], SIZE, Silent()), open_store(splits[1], SIZE, Silent()))
    how = batching_of(spec, len(bench.source.classes), bench.source.train.labels)
    way = decide(spec, site, [bench.file])
    once = open_stored(spec, site, [bench.file], way, images, how)
    (_, bare), *_ = open_teachers(spec, site, [bench.file], images[1])
    how = replace(how, batch_size=batch_size(SIZE, device))
    rows = np.arange(len(images[0]))
    ratios: list[float] = []
    for view in range(views):
        ready = list(view_batches(images[0], how, view, rows, 0, device))
        start = time.perf_counter()
        next(once.answered(iter(ready[:1])))
        filled = time.perf_counter() - start
        start = time.perf_counter()
        for batch in ready:
            bare(batch)
        wait_for(device)
        ratios.append((time.perf_counter() - start) / filled)
    return {"fill": statistics.median(ratios[1:]), "views_filled": float(views)}


def many(bench: Bench, students: int, epochs: int) -> Found:
    """Whole trainings, each student's followed by that of its baseline."""
    settings = ("teacher.answers=stored", f"teacher.views={epochs}", f"train.epochs={epochs}")
    taught = alone = 0.0
    for number in range(students):
        seed, place = divmod(number, len(RECIPES))
        spec = bench.spec(*settings, recipe=RECIPES[place], seed=seed)
        taught += timed(lambda spec=spec: ensure(spec, bench.site))  # type: ignore[misc]
        # one baseline serves all recipes of a seed, so it is made anew for each
        alone += timed(lambda spec=spec: ensure(baseline_of(spec), bench.site, again=True))  # type: ignore[misc]
    pass_ = one_pass(bench, spec, epochs)
    return {
        "many": taught / (pass_ + alone),
        "taught_seconds": taught,
        "alone_seconds": alone,
        "pass_seconds": pass_,
    }


def one_pass(bench: Bench, spec: Spec, epochs: int) -> float:
    """The bare teacher over all views, on ready batches."""
    images = open_store(bench.source.train, SIZE, Silent())
    validation = open_store(bench.source.validation, SIZE, Silent())
    (_, bare), *_ = open_teachers(spec, bench.site, [bench.file], validation)
    how = replace(
        batching_of(spec, 10, bench.source.train.labels), batch_size=batch_size(SIZE, bench.device)
    )
    rows = np.arange(len(images))
    ready: list[Batch] = []
    for view in range(epochs):
        ready += view_batches(images, how, view, rows, 0, bench.device)

    def ask() -> None:
        for batch in ready:
            bare(batch)
        wait_for(bench.device)

    return timed(ask)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measured(asked: argparse.Namespace) -> Iterator[Found]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KD_RUNS"] = folder
        bench = Bench(Path(folder), open_device(asked.device))
        yield steps(bench, asked.steps)
        yield fill(bench, asked.fills)
        if asked.students:
            yield many(bench, asked.students, asked.epochs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--fills", type=int, default=4, help="Views, the first is left out.")
    parser.add_argument("--students", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    add_json(parser)
    found: Found = {}
    for part in measured(asked := parser.parse_args()):
        found |= part
        say(asked, "  ".join(f"{key} {value:.3f}" for key, value in part.items()))
    show(asked, {"found": found, "targets": TARGETS}, [])


if __name__ == "__main__":
    main()
