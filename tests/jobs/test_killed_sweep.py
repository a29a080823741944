"""A sweep that is killed three times on the way ends in the table of one that was left alone."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from house import QUICK_TEACHER

CELLS = f"""\
common: {{teacher: test_vit, teacher.recipe: {QUICK_TEACHER}, train.epochs: 3}}
axes:
  recipe: [kd, dkd, at]
  student: [test_resnet, test_efficientnet]
  seed: [0, 1]
"""
ENDS = ((signal.SIGKILL, 3), (signal.SIGTERM, 6), (signal.SIGINT, 9))
"""What ends it, when so many more of its jobs are done."""


def begin(file: Path, runs: Path, *flags: str) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", "kdcli", "sweep", str(file), *flags]
    return subprocess.Popen(
        line,
        env=os.environ | {"KD_RUNS": str(runs)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def table(file: Path, runs: Path) -> dict[str, Any]:
    out, err = begin(file, runs, "--table", "--json").communicate(timeout=600)
    assert out, err
    found: dict[str, Any] = json.loads(out.replace(str(runs), "RUNS"))
    return found


@pytest.mark.slow
def test_a_sweep_that_is_killed_ends_in_the_same_table(tmp_path: Path) -> None:
    file, alone, killed = tmp_path / "cells.yaml", tmp_path / "alone", tmp_path / "killed"
    file.write_text(CELLS, "utf-8")
    begun = time.monotonic()
    out, err = begin(file, alone, "--jobs", "2").communicate(timeout=1800)
    assert "12 of 12 cells done" in out, err
    print(f"left alone: {time.monotonic() - begun:.0f} s")

    begun = time.monotonic()
    for number, jobs in ENDS:
        sweep = begin(file, killed, "--jobs", "2")
        assert sweep.stderr
        for line in sweep.stderr:
            if re.match(rf"\[{jobs}/", line):
                break
        time.sleep(2.5)  # into the next ones
        sweep.send_signal(number)
        sweep.stderr.read()
        assert (
            sweep.wait(120) == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number]
        )
    out, err = begin(file, killed, "--jobs", "2").communicate(timeout=1800)
    assert "12 of 12 cells done" in out, err
    print(f"killed three times: {time.monotonic() - begun:.0f} s")

    assert table(file, killed) == table(file, alone)
    (teacher,) = killed.glob("teacher-*")
    epochs = [json.loads(line) for line in (teacher / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in epochs if "epoch" in line] == [*range(1, 9)]
