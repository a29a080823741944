"""kd sweep: which flags go together, and what --emit prints."""

import sys
from pathlib import Path

import pytest
from house import SMALL_TEACHER, STUDENT, TEACHER, House, kd, kd_ok


@pytest.fixture
def cells(tmp_path: Path, pictures: Path) -> Path:
    file = tmp_path / "cells.yaml"
    own = f"teacher: {TEACHER}, student: {STUDENT}, data: {pictures}"
    file.write_text(f"common: {{{own}, teacher.recipe: {SMALL_TEACHER}}}\naxes: {{seed: [0, 1]}}\n")
    return file


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--detach", "--detach is of --slurm"),
        ("--out x", "--out is of --emit"),
        ("--emit make --json", "--emit prints a file, and does nothing else"),
        ("--emit make --dry-run", "--emit prints a file, and does nothing else"),
        ("--slurm partitoin=gpu", "no option 'partitoin' of sbatch; did you mean 'partition'?"),
        ("--emit slurm --slurm time=ever", "no time that Slurm knows"),
    ],
)
def test_what_does_not_go_together_is_refused(flags: str, words: str) -> None:
    answer = kd("sweep", "no.yaml", *flags.split())
    assert (answer.code, words in answer.out + answer.err) == (2, True), answer.err


def test_without_submitit_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "kdcli.jobs.slurm", raising=False)
    monkeypatch.setitem(sys.modules, "submitit", None)
    answer = kd("sweep", "no.yaml", "--slurm", "time=30")
    assert (answer.code, "pip install 'kdcli[slurm]'" in answer.err) == (2, True)


def test_what_is_missing_is_printed_or_written(
    small: House, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    told = kd_ok("sweep", cells, "--emit", "make").out
    assert "\n\tkd distill " in told
    assert "\n\tkd evaluate " in told
    out = tmp_path / "jobs" / "cells.mk"
    answer = kd_ok("sweep", cells, "--emit", "make", "--out", out)
    assert (answer.out, out.read_text()) == ("", told)
    script = kd_ok("sweep", cells, "--emit", "slurm", "--slurm", "qos=high").out
    assert "--qos=high" in script
