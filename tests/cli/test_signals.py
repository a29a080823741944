"""Ctrl-C and SIGTERM stop kd wherever it is, also where Python only prints what is raised."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
import typer
from house import Answer, House, kd

from kdcli.cli.entry import enter

SIGNALS = pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)


def _answer(work: Callable[[], object], patch: pytest.MonkeyPatch) -> Answer:
    """Of a command that does this and nothing else."""
    patch.setattr("kdcli.commands.export.export", lambda *_: work())
    return kd("export")


@SIGNALS
def test_what_is_raised_while_an_object_is_cleared_away_is_raised_again(
    number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(number)

    passed: list[str] = []

    def work() -> None:
        Dying()
        passed.append("the finaliser")
        end = time.monotonic() + 20
        while time.monotonic() < end:
            time.sleep(0.01)
        passed.append("all of it")

    before = sys.unraisablehook
    answer = _answer(work, monkeypatch)
    assert answer.code == code
    assert "interrupted" in answer.err
    assert "Exception ignored" not in answer.err
    assert passed == ["the finaliser"]
    assert sys.unraisablehook is before


@SIGNALS
def test_a_signal_before_a_command_began_keeps_its_code(number: signal.Signals, code: int) -> None:
    """Typer takes each for Ctrl-C, and returns 130."""

    def app(*_: Any, **how: Any) -> int:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(number)
        return 130

    assert enter(cast("typer.Typer", app), []) == code


@SIGNALS
def test_what_a_library_catches_is_no_success(
    number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops when the library gives back, or at the end."""

    def work() -> Any:
        try:
            signal.raise_signal(number)
            time.sleep(1)
        except BaseException:
            raise SystemExit(0) from None  # as bad as it gets

    assert _answer(work, monkeypatch).code == code


@pytest.mark.slow
@SIGNALS
@pytest.mark.parametrize("delay", [0.0, 0.1, 1.5])
def test_export_stops_just_before_it_times(
    number: signal.Signals, code: int, delay: float, finished: House
) -> None:
    """A full collection of garbage, the timing itself, the child that measures memory."""
    line = [sys.executable, "-m", "kdcli", "export", str(finished.student)]
    files = {file: file.read_bytes() for file in finished.student.rglob("*.onnx")}

    def heard() -> None:  # a shell's background would have it ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)

    child = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    assert child.stderr
    assert any("side by side" in said for said in child.stderr)
    time.sleep(delay)
    child.send_signal(number)
    said = child.stderr.read()
    assert child.wait(120) == code, said
    assert "Traceback" not in said
    assert {file: file.read_bytes() for file in finished.student.rglob("*.onnx")} == files
