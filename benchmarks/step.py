"""Seconds per step of `kd` against a bare hand-written loop doing the same arithmetic.

    python benchmarks/step.py [--steps 60] [--device cuda] [--json]
    python benchmarks/step.py --methods [--steps 20] [--device cuda] [--json]

resnet101 -> mobilenetv3_small_100, 32x32, batch 64; the same precision and memory format on both
sides. The real loop (`training.loop.fit`) runs; between two of its steps the bare loop makes one of
its own, so that a machine that slows down slows both. The bare loop is handed ready batches, kd
makes its own. Target: at most 1.05.

--methods: each method beside `kd` against `kd` alone, a step of each in turn; and the bytes that
a step keeps for its backward pass. Targets: 1.10 in time, 1.5 for nst and crd; 1.25 in bytes.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import chain, count
from pathlib import Path

import timm
import torch
import torch.nn.functional as F
from tables import add_json, say, show
from torch import Tensor

from kdcli.core import registry
from kdcli.core.progress import Silent
from kdcli.core.records import Batch
from kdcli.models.build import build, plan
from kdcli.models.checkpoint import ModelFile, save_model
from kdcli.plan.data import open_data
from kdcli.plan.job import Shared
from kdcli.plan.lineage import Roles, distill_spec
from kdcli.plan.names import Start
from kdcli.recipe.load import load_recipe
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec
from kdcli.training.build import Assembled, assemble
from kdcli.training.devices import open_device, wait_for
from kdcli.training.distiller import Distiller
from kdcli.training.loop import fit
from kdcli.training.resume import Validation
from kdcli.training.site import Site

TEACHER, STUDENT, SIZE, BATCH = "resnet101", "mobilenetv3_small_100", 32, 64
TARGET = 1.05
"""Measured: 1.027, the median of 58 pairs of steps, quartiles 1.002 to 1.052."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--methods", action="store_true")
    parser.add_argument("--device", default="cpu")
    add_json(parser)
    asked = parser.parse_args()
    if asked.methods:
        compare_methods(asked)
        return
    with tempfile.TemporaryDirectory() as folder:
        kd, bare = measure(asked.steps, Path(folder), asked.device)
    quartiles = statistics.quantiles([a / b for a, b in zip(kd, bare, strict=True)], n=4)
    low, middle, high = quartiles
    mine, other = statistics.median(kd), statistics.median(bare)
    show(
        asked,
        {"kd": mine, "bare": other, "steps": len(kd), "ratio": middle, "quartiles": quartiles},
        [
            f"kd    {1e3 * mine:7.1f} ms per step (median of {len(kd)})",
            f"bare  {1e3 * other:7.1f} ms per step",
            f"ratio {middle:.3f} (quartiles {low:.3f} to {high:.3f}); target at most {TARGET}",
        ],
    )


def measure(steps: int, folder: Path, wanted: str) -> tuple[list[float], list[float]]:
    """Seconds of each step of kd and of the bare loop, taken in turn."""
    device = open_device(wanted)
    spec, parts = kd_parts(folder, device)
    other = bare_step(spec.recipe.teacher.precision, spec.recipe.student.precision, device)
    kd: list[float] = []
    bare: list[float] = []

    def interleaved(epoch: int, done: int) -> Iterator[Batch]:
        ready = next(parts.batches(0))
        for _ in range(5):  # as many warm-up steps as kd's, which are cut off below
            other(ready)
        feed = chain.from_iterable(parts.batches(0) for _ in count())
        for _ in range(steps + 5):
            start = time.perf_counter()
            yield next(feed)  # kd makes its batch, then its step
            wait_for(device)
            kd.append(time.perf_counter() - start)
            start = time.perf_counter()
            other(ready)
            wait_for(device)
            bare.append(time.perf_counter() - start)

    fit(
        parts.distiller,
        spec.recipe.train.model_copy(update={"epochs": 1}),
        batches=interleaved,
        steps_per_epoch=steps + 5,
        validate=lambda model: Validation(0.0, 0.0, 0.0),
        seed=0,
        run=Run(folder),
        label="benchmark",
        progress=Silent(),
    )
    return kd[5:-1], bare[5:-1]  # the first are warm-up, the last holds the end of the epoch


def compare_methods(asked: argparse.Namespace) -> None:
    """A row per method: time and memory of `kd` and it, over `kd` alone."""
    device = open_device(asked.device)
    figures = []
    say(asked, "method     time (quartiles)         kept for backward")
    with tempfile.TemporaryDirectory() as folder:
        _, alone = kd_parts(Path(folder), device)
        batch = next(alone.batches(0))
        for name in registry.names("methods"):
            method = registry.load("methods", name)
            # of which neither the student nor a finished teacher gives any here
            if name == "kd" or {"heads", "attention"} & (method.student_needs | method.needs):
                continue
            weight = f"methods.{name}.weight={method.default_weight}"
            _, both = kd_parts(Path(folder), device, weight)
            pair = one_step(alone.distiller, batch), one_step(both.distiller, batch)
            ratios = [b / a for a, b in in_turn(*pair, asked.steps, device)]
            quartiles = statistics.quantiles(ratios, n=4)
            low, middle, high = quartiles
            kept = kept_bytes(both.distiller, batch) / kept_bytes(alone.distiller, batch)
            figures.append({"method": name, "quartiles": quartiles, "kept": kept})
            say(asked, f"{name:9}  {middle:.3f} ({low:.3f} to {high:.3f})   {kept:.3f}")
    show(asked, figures, [])


def one_step(distiller: Distiller, batch: Batch) -> Callable[[], None]:
    """All that a step computes: both forwards, every term, the backward pass, the update."""
    # next to no rate: the teacher is random, and what the loss becomes must not change the work
    optimizer = torch.optim.AdamW(distiller.parameters(), lr=1e-6)

    def step() -> None:
        loss = distiller(batch).total
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(distiller.parameters(), 1.0)
        optimizer.step()

    return step


def in_turn(
    one: Callable[[], object], other: Callable[[], object], steps: int, device: torch.device
) -> list[tuple[float, float]]:
    """Seconds of `one` and of `other`, step by step, after three of each: a machine that slows down
    slows both, which two timings one after the other would not show."""
    pairs = []
    for _ in range(steps + 3):
        seconds = []
        for step in (one, other):
            start = time.perf_counter()
            step()
            wait_for(device)
            seconds.append(time.perf_counter() - start)
        pairs.append((seconds[0], seconds[1]))
    return pairs[3:]


def kept_bytes(distiller: Distiller, batch: Batch) -> int:
    """Of all storages that the graph of one step holds, each once: views and tensors that two
    operations save share one. The parameters are among them, where a backward pass needs them."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        distiller(batch)
    return sum(kept.values())


def kd_parts(
    folder: Path,
    device: torch.device,
    *settings: str,
    data: str = "digits",
    teacher: str = TEACHER,
    student: str = STUDENT,
    size: int = SIZE,
    batch: int = BATCH,
) -> tuple[Spec, Assembled]:
    """kd's own models, batches and distiller; the teacher's weights do not matter for time."""
    source, ref = open_data(data, Silent())
    args = plan(teacher, len(source.classes), size, None)
    file = folder / "teacher.pt"
    save_model(ModelFile(args.as_dict(), build(args).state_dict(), source.classes, {}), file)
    loaded = load_recipe(
        "kd",
        (
            f"data.image_size={size}",
            f"train.batch_size={batch}",
            "student.pretrained=false",
            "teacher.allow_weak=true",
            *settings,
        ),
    )
    spec = distill_spec(Roles((str(file),), Start(student)), Shared(loaded, source, ref, device))
    return spec, assemble(spec, Site(source, device, Silent()), [file])


def bare_step(of_teacher: str, of_student: str, device: torch.device) -> Callable[[Batch], None]:
    """A loop as one would write it by hand for exactly this: the recipe kd's numbers (T = 4, 0.1
    and 0.9), kd's own memory format, clipping and schedule, and nothing that is logged."""
    teacher = timm.create_model(TEACHER, num_classes=10).eval().requires_grad_(False)
    student = timm.create_model(STUDENT, num_classes=10).train()
    for model in (teacher, student):
        model.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1000)
    mean = torch.tensor([0.485, 0.456, 0.406], device=device).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], device=device).view(1, 3, 1, 1)

    def autocast(precision: str) -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")

    def step(batch: Batch) -> None:
        images = ((batch.images - mean) / std).contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), autocast(of_teacher):
            target = teacher(images)
        target = F.log_softmax(target.float() / 4, dim=1)
        with autocast(of_student):
            logits = student(images).float()
        soft = F.log_softmax(logits / 4, dim=1)
        kd = F.kl_div(soft, target, log_target=True, reduction="batchmean") * 16
        loss = 0.1 * F.cross_entropy(logits, batch.labels) + 0.9 * kd
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()

    return step


if __name__ == "__main__":
    main()
