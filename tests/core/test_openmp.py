"""How many threads, and how they wait: what the environment and a container say."""

import subprocess
import sys
from pathlib import Path

import pytest

from kdcli.core import openmp
from kdcli.core.errors import UsageError
from kdcli.core.openmp import BRIEFLY, WAITING, usable_cores, wait_briefly, wanted_threads


@pytest.mark.parametrize(
    ("kd", "omp", "wanted"),
    [
        ("3", "2", 3),
        ("", "2", 2),
        (" 4 ", None, 4),
        (None, "4,2", 4),
        (None, "many", None),
        (None, None, None),
    ],
)
def test_who_wins(
    kd: str | None, omp: str | None, wanted: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, said in (("KD_THREADS", kd), ("OMP_NUM_THREADS", omp)):
        monkeypatch.delenv(name, raising=False)
        if said is not None:
            monkeypatch.setenv(name, said)
    assert wanted_threads() == wanted


@pytest.mark.parametrize("wrong", ["0", "-1", "all", "1.5", "99999"])
def test_what_is_no_number_is_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KD_THREADS", wrong)
    with pytest.raises(UsageError, match=f"KD_THREADS={wrong}"):
        wanted_threads()


def test_threads_wait_briefly_unless_somebody_has_said_how(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WAITING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    wait_briefly()
    assert not BRIEFLY.keys() & openmp.os.environ.keys()
    monkeypatch.delenv("OMP_WAIT_POLICY")
    for name in BRIEFLY:  # so that they are gone behind this test
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    wait_briefly()
    assert BRIEFLY.items() <= openmp.os.environ.items()


def test_it_is_said_before_torch_is_loaded() -> None:
    code = (
        "import sys, kdcli.cli.entry as entry\n"
        "entry.wait_briefly = lambda: print('torch' in sys.modules)\n"
        "entry.enter(lambda *a, **k: 0, [])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu.max": "?"}, 8),
        ({}, 8),
    ],
)
def test_a_container_has_the_cores_that_it_is_given(
    files: dict[str, str], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(openmp, "GROUP", tmp_path)
    monkeypatch.setattr(openmp.os, "sched_getaffinity", lambda _: range(8), raising=False)
    assert usable_cores() == cores


def test_cores_are_shared_with_kds_beside_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "GROUP", Path("nowhere"))
    monkeypatch.setattr(openmp.os, "sched_getaffinity", lambda _: range(8), raising=False)
    for share, cores in (("3", 3), ("99", 8), ("0", 8), ("", 8)):
        monkeypatch.setenv("KD_CORES", share)
        assert usable_cores() == cores
