"""Signals at random moments, time and again: the results are those of a chain that nobody
disturbed, bit for bit (rows 2 to 5)."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from forked import begin, essence, run, runs_of, said
from house import STUDENT, TEACHER

from kdcli.core.unfinished import is_leftover

QUICK = "scheme: alone\ntask: {weight: 1.0}\ntrain: {epochs: 3, batch_size: 32}\n"
DATA = ("--data", "digits", "--set", "data.subset=0.2", "--set", "train.epochs=3")
KILLS, PARTS = 200, 8
"""Of each signal, in so many tests."""
MOST = 4
"""Of one command, which is then left alone."""
CODES = {signal.SIGKILL: (-9,), signal.SIGTERM: (143,), signal.SIGINT: (130,)}


@pytest.mark.attack
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", ["SIGKILL", "SIGTERM or SIGINT"])
def test_a_chain_that_is_disturbed_ends_as_if_left_alone(
    kind: str, part: int, tmp_path: Path, shared: Path
) -> None:
    killed = kind == "SIGKILL"
    disturb(KILLS // PARTS, [9] if killed else [15, 15, 2], part, tmp_path, shared / "onnx")


def disturb(wanted: int, numbers: list[int], seed: int, folder: Path, memory: Path) -> None:
    """So many signals, over as many chains as that takes."""
    chance, home = random.Random(seed), folder / "home"
    home.mkdir()
    (home / "quick.yaml").write_text(QUICK)
    teacher = ("--teacher", TEACHER, "--set", f"teacher.recipe={home / 'quick.yaml'}")
    chain = (("distill", *teacher, "--student", STUDENT, *DATA), ("evaluate",))
    shutil.copytree(home, folder / "before")
    seconds = []
    for line in chain:
        start = time.monotonic()
        assert run(home, line, memory=memory).code == 0
        seconds.append(time.monotonic() - start)
    undisturbed, count, chains = essence(runs_of(home)), 0, 0
    while count < wanted:
        shutil.rmtree(home)
        shutil.copytree(folder / "before", home)
        for line, usual in zip(chain, seconds, strict=True):
            for _ in range(MOST):
                number = signal.Signals(chance.choice(numbers))
                child = begin(home, line, memory=memory)
                child.join(chance.uniform(0, 1.1 * usual))
                if child.exitcode is None:
                    os.kill(child.pid or 0, number)
                child.join(120)
                answer = said(home, child)
                if answer.code == 0:
                    break
                assert answer.code in CODES[number], answer.err
                assert "Traceback" not in answer.err
                count += 1
            else:
                answer = run(home, line, memory=memory)
            assert answer.code == 0, answer.err
        found = essence(runs_of(home))
        assert not [name for name in found if any(map(is_leftover, Path(name).parts))]
        assert found.keys() == undisturbed.keys()
        assert [name for name in found if found[name] != undisturbed[name]] == []
        chains += 1
    print(f"{count} signals over {chains} chains of {len(chain)} commands: all identical")
