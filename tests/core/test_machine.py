"""The machine in words, and what this process takes of it."""

import time

import numpy as np

from kdcli.core.machine import free_memory_bytes, machine, memory_bytes, watched_memory


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
