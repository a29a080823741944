"""The machine in words, and what this process takes of it."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from kdcli.core.machine import (
    free_memory_bytes,
    machine,
    memory_bytes,
    resident_bytes,
    watched_memory,
)


def test_memory_that_was_there_for_a_moment_is_seen() -> None:
    with watched_memory() as most:
        before = most()
        held = np.ones(200_000_000, dtype=np.uint8)
        time.sleep(0.1)
        del held
    assert most() >= before + 150_000_000


def test_free_memory_is_some_of_it() -> None:
    assert 0 < free_memory_bytes() < memory_bytes()


def test_the_machine_is_one_line() -> None:
    assert " cores, " in machine()
    assert "\n" not in machine()


def test_memory_of_a_process_and_what_it_started() -> None:
    own = resident_bytes(os.getpid())
    assert 0 < own < memory_bytes()
    assert resident_bytes(2**30) == 0, "there is none"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody tells the children")
def test_children_of_a_process_that_is_killed_are_told_to_stop() -> None:
    script = (
        "import subprocess, sys, time\nfrom kdcli.core.machine import end_with_parent\n"
        "child = 'import time; print(flush=True); time.sleep(60)'\n"
        "subprocess.Popen([sys.executable, '-S', '-c', child], preexec_fn=end_with_parent)\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout
    parent.stdout.readline()
    parent.kill()
    begun = time.monotonic()
    assert parent.stdout.read() == b"", "closed by the child's end, too"
    assert time.monotonic() - begun < 20
