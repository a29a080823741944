"""How many threads a training takes: chosen by steps that take turns, kept with the run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from house import TEACHER, House, kd, kd_ok, then_stop

from kdcli.commands.train import train_job
from kdcli.core.progress import Silent
from kdcli.plan.ask import Ask
from kdcli.runs.run import Run
from kdcli.training import loop
from kdcli.training.threads import fewest_of_the_fast, in_turn, numbers, using


def steps(cost: dict[int, float], taken: list[int], noise: float = 0.0, seed: int = 0) -> Callable:
    """Steps that take so long with so many threads, one of ten three times as long by a hiccup; the
    first after a change is slow."""
    rng, last = np.random.default_rng(seed), [0]

    def step() -> float:
        count = torch.get_num_threads()
        slow = 3.0 if last[0] != count else 1.0
        last[0] = count
        taken.append(count)
        hiccup = 3.0 if noise and rng.random() < 0.1 else 1.0
        return cost[count] * slow * hiccup * (1 + noise * rng.random())

    return step


@pytest.mark.parametrize(
    ("cost", "best"),
    [
        ({2: 0.020, 1: 0.010}, 1),
        ({2: 0.010, 1: 0.019}, 2),
        ({2: 0.010, 1: 0.0103}, 1),  # as fast: the rest is left to others
        ({8: 0.025, 4: 0.01, 2: 0.015, 1: 0.025}, 4),
        ({2: 1.2, 1: 0.06}, 1),  # as beside a busy neighbour
    ],
)
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_the_fastest_number_is_found_through_noise(
    cost: dict[int, float], best: int, noise: float
) -> None:
    if noise and sorted(cost.values())[1] < 1.05 * min(cost.values()):
        return  # either is right
    for seed in range(20):
        found = in_turn(steps(cost, [], noise, seed), [*cost])
        assert fewest_of_the_fast(found) == best, found


def test_numbers_take_turns_and_a_trial_ends_in_time() -> None:
    taken: list[int] = []
    in_turn(steps({2: 0.1, 1: 0.11}, taken), (2, 1))
    assert taken[:8] == [2, 2, 2, 2, 1, 1, 1, 1]
    assert len(taken) <= 24


def test_long_steps_are_tried_once_and_very_long_ones_not_with_fewer_threads() -> None:
    taken: list[int] = []
    assert fewest_of_the_fast(in_turn(steps({4: 1.0, 2: 1.8, 1: 3.5}, taken), (4, 2, 1))) == 4
    assert taken.count(2) <= 2
    assert 1 not in taken
    taken.clear()
    assert fewest_of_the_fast(in_turn(steps({2: 6.0, 1: 2.0}, taken), (2, 1))) == 2
    assert 1 not in taken


def test_nothing_is_tried_where_the_environment_says_or_a_gpu_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KD_THREADS", "3")
    assert numbers(torch.device("cpu")) == (3,)
    monkeypatch.delenv("KD_THREADS")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with using(6):
        assert numbers(torch.device("cpu")) == (6, 3, 1)
        assert numbers(torch.device("cuda")) == (6,)
        assert numbers(torch.device("cpu"), compiled=True) == (6,)
    with using(1):
        assert numbers(torch.device("cpu")) == (1,)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Nobody has said; a trial finds this many, and these are the threads of each epoch's end."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("KD_THREADS", raising=False)
    monkeypatch.setattr("kdcli.plan.rehearsal.numbers", lambda *_: (2, 1))
    monkeypatch.setattr("kdcli.plan.forecast.numbers", lambda *_: (2, 1))
    answer = [2]
    monkeypatch.setattr(loop, "in_turn", lambda step, counts: {answer[0]: [step()]})
    return answer


@pytest.mark.slow
def test_what_was_chosen_is_said_kept_and_kept_to(
    chosen: list[int], empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ("train", TEACHER, "--data", pictures, "--set", "train.epochs=2")
    used: list[int] = []

    def keep(*arguments: object) -> None:
        used.append(torch.get_num_threads())
        real(*arguments)

    real, before = loop.keep, torch.get_num_threads()
    with monkeypatch.context() as patch:
        patch.setattr(loop, "keep", then_stop(keep))
        answer = kd(*line)
    assert answer.code == 130
    assert f"threads: teacher {TEACHER} 2, as a few steps took the least time" in answer.err
    run = Run(empty_house.teacher)
    assert (run.threads, {*used}) == (2, {2})
    assert torch.get_num_threads() == before
    chosen[0] = 1  # the neighbours have gone, or come: a resumed run keeps to its number
    monkeypatch.setattr(loop, "in_turn", None)
    assert kd_ok(*line).code == 0
    assert run.threads == 2


@pytest.mark.slow
def test_the_environment_wins_over_a_begun_run_aloud(
    chosen: list[int], empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ("train", TEACHER, "--data", pictures, "--set", "train.epochs=2")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "keep", then_stop(loop.keep))
        kd(*line)
    monkeypatch.setenv("KD_THREADS", "1")
    assert "begun with 2 threads, goes on with 1" in kd_ok(*line).err
    assert Run(empty_house.teacher).threads == 1


@pytest.mark.slow
def test_baselines_and_seeds_of_an_evaluation_choose_too(
    chosen: list[int], small: House, pictures: Path
) -> None:
    said = kd_ok("evaluate").err
    assert "threads: baseline test_efficientnet 2" in said
    assert Run(small.run("baseline-")).threads == 2


def test_the_number_is_in_no_digest(pictures: Path) -> None:
    job = train_job(Ask("supervised", model=TEACHER, data=str(pictures)), Silent())
    assert "threads" not in str(job.spec.model_dump())
