"""Following a teacher: which checkpoints are kept, and which of them a step learns from."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from words import Words

from kdcli.core.records import Batch
from kdcli.data.source import Source, Split
from kdcli.evaluation.standing import standing_at
from kdcli.models.checkpoint import read_weights
from kdcli.models.model_args import ModelArgs
from kdcli.models.tap import Tap
from kdcli.models.teachers import Together, Trajectory, checkpoint_at
from kdcli.recipe.teacher import Checkpoints
from kdcli.runs.layout import is_ours
from kdcli.runs.run import Run
from kdcli.training.site import Site
from kdcli.training.trajectory import Trail, warn_of_weak


@pytest.mark.parametrize("spacing", ["even", "early"])
@pytest.mark.parametrize(
    ("count", "total"), [(1, 7), (3, 7), (7, 7), (40, 7), (10**9, 5), (40, 990)]
)
def test_as_many_as_asked_at_most_one_per_step_and_the_last(
    spacing: str, count: int, total: int
) -> None:
    steps = Checkpoints.model_validate({"count": count, "spacing": spacing}).steps(total)
    assert len(steps) == min(count, total)
    assert steps[-1] == total
    assert steps[0] >= 1
    assert all(one < other for one, other in pairwise(steps))


def test_even_and_early() -> None:
    assert Checkpoints(count=4).steps(10) == (3, 5, 8, 10)
    assert Checkpoints(count=5, spacing="early").steps(100_000) == (10, 100, 1000, 10_000, 100_000)


@pytest.mark.parametrize(
    ("step", "total", "clock", "expected"),
    [
        (1, 10, "progress", 2),  # ceil(1 * 8 / 10) = 1: the first is that of step 2
        (3, 10, "progress", 4),  # ceil(2.4) = 3
        (5, 10, "progress", 4),
        (6, 10, "progress", 8),
        (10, 10, "progress", 8),
        (4, 100, "steps", 4),
        (5, 100, "steps", 8),
        (9, 100, "steps", 8),  # beyond the teacher's end: its last
    ],
)
def test_a_step_learns_from_the_first_checkpoint_at_or_behind_it(
    step: int, total: int, clock: str, expected: int
) -> None:
    assert checkpoint_at(step, total, (2, 4, 8), clock) == expected  # type: ignore[arg-type]


def test_equal_lengths_and_a_checkpoint_at_every_step_are_lockstep() -> None:
    kept = Checkpoints(count=10**6).steps(990)
    assert [checkpoint_at(t, 990, kept, "progress") for t in range(1, 991)] == list(kept)


def batch(done: float = 0.0) -> Batch:
    rows = torch.arange(4)
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return Batch(images, rows, torch.eye(4), rows, rows, progress=done)


def tap() -> Tap:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4), nn.Flatten())
    return Tap(module, ModelArgs("tiny", 4, 8), "teacher.0")


def test_a_trajectory_loads_a_checkpoint_when_it_changes_and_then_only() -> None:
    model, loaded = tap(), list[int]()
    states = {step: {k: v + step for k, v in model.module.state_dict().items()} for step in (2, 4)}

    def load(step: int) -> dict[str, torch.Tensor]:
        loaded.append(step)
        return states[step]

    teacher = Trajectory(model, (2, 4), load, total=4)
    answers = [teacher(batch(done / 4)).logits for done in range(4)]
    assert loaded == [2, 4]
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[1], answers[2])
    assert not any(answer.requires_grad for answer in answers)
    assert all(torch.equal(v, states[4][k]) for k, v in model.module.state_dict().items())


def test_a_teacher_that_learns_only_answers_where_no_gradients_are_recorded() -> None:
    seen: list[float] = []
    teacher = Together(tap().train(), lambda one: seen.append(one.progress))
    with torch.no_grad():
        teacher(batch())
    assert seen == []
    assert not teacher(batch(0.5)).logits.requires_grad
    assert seen == [0.5]


def test_a_trail_writes_what_was_asked_for_and_the_last_step(tmp_path: Path) -> None:
    model = tap().module
    trail = Trail(Run(tmp_path), Checkpoints(count=2), 8, lambda weights: weights)
    for step in range(1, 7):
        trail.after(step, model)
    trail.last(6, model)  # it ended early
    assert Run(tmp_path).steps() == (4, 6)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "step.0000004.safetensors",
        "step.0000006.safetensors",
    ]
    assert all(is_ours(file.name) for file in tmp_path.iterdir())
    found = read_weights(Run(tmp_path).step(6))
    assert all(torch.equal(v, found[k]) for k, v in model.state_dict().items())


def test_half_of_it_where_it_fits(tmp_path: Path) -> None:
    model = tap().module
    model[1].running_var.fill_(1e6)  # type: ignore[union-attr, operator]
    trail = Trail(Run(tmp_path), Checkpoints(count=1, precision="fp16"), 1, lambda weights: weights)
    trail.after(1, model)
    found = read_weights(Run(tmp_path).step(1))
    assert found["0.weight"].dtype == torch.float16
    assert found["1.running_var"].dtype == torch.float32  # beyond 65,504
    assert found["1.num_batches_tracked"].dtype == torch.int64
    tap().module.load_state_dict(found)


@pytest.mark.parametrize(("recall", "weak"), [(0.35, True), (0.8, False)])
def test_a_teacher_that_only_knows_the_common_class_is_weak(tmp_path, recall, weak):
    """Right on nine of ten images, and no better than chance with every class alike."""
    run = Run(tmp_path)
    measured = {"accuracy": {"teacher": 0.9}, "balanced_accuracy": {"teacher": recall}}
    epoch = {"epoch": 1} | {f"teacher_val_{key}": value for key, value in measured.items()}
    run.metrics.write_text(f"{json.dumps(epoch)}\n{json.dumps({'best_epoch': 1})}\n")
    labels = np.repeat([0, 1, 2], [90, 5, 5])
    split = Split(labels, tuple(map(str, range(100))), read=None)
    source = Source("rare", ("a", "b", "c"), split, split, split, {}, None)
    words = Words()
    warn_of_weak(run, Site(source, torch.device("cpu"), words))
    assert words.words == [standing_at("teacher", recall, labels, 3).warning] * weak
