"""Memory that has run out, whatever was made of it."""

import pytest

from kdcli.cli import full_memory as words
from kdcli.cli.full_memory import full_memory
from kdcli.core.errors import DamagedFile, KdError, UsageError


@pytest.fixture
def limit(monkeypatch):
    def limit(most):
        monkeypatch.setattr(words, "addressable_bytes", lambda: most)

    return limit


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("std::bad_alloc"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] . can't allocate memory"),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
    ],
    ids=repr,
)
def test_memory_is_full(error, limit):
    limit(1_500_000_000)
    found = full_memory(error, ["export"])
    assert found.code == 5
    assert "may address 1.5 GB (ulimit -v" in found.fix
    assert "train.batch_size" not in found.fix


def test_who_trains_is_told_of_smaller_batches(limit):
    limit(None)
    assert "--set train.batch_size" in full_memory(MemoryError(), ["distill"]).fix
    assert full_memory(MemoryError(), ["list"]).fix == ""


@pytest.mark.parametrize("text", ["x.so: failed to map segment", "could not create a primitive"])
def test_what_may_mean_something_else_counts_where_addresses_are_limited(text, limit):
    limit(10**9)
    assert full_memory(ImportError(text), []).code == 5
    limit(None)
    assert full_memory(ImportError(text), []) is None


def test_a_file_is_not_damaged_for_want_of_memory(limit):
    limit(None)

    def made_of(reason: Exception) -> KdError:
        error = DamagedFile("runs/x/model.pt: truncated or not a PyTorch file", "copy it again")
        error.__cause__ = reason
        return error

    found = full_memory(made_of(MemoryError()), [])
    assert (found.code, found.what) == (5, "runs/x/model.pt: out of memory")
    assert full_memory(made_of(ValueError("out of memory")), []) is None


def test_a_person_may_type_these_words():
    assert full_memory(UsageError("unknown model 'out of memory'"), []) is None
