"""What a job of Slurm does on its node: one command of kd, until it is over or queued again."""

import atexit
import os
import signal
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

from submitit import JobEnvironment
from submitit.helpers import DelayedSubmission

from kdcli.core.errors import ExitCode
from kdcli.core.host_lock import DEAD

STOPPED = (int(ExitCode.TERMINATED), int(ExitCode.INTERRUPTED), -signal.SIGTERM, -signal.SIGUSR2)
STOP_SECONDS = 30.0
"""For kd to stop by itself: all processes of a job get its signals."""
DECIDED_SECONDS = 60.0
"""After a signal, until Slurm has ended the job, or has had it queued again."""
AGAIN_SECONDS = 10.0


@dataclass
class Command:
    """A command line, by where it runs and what it is given."""

    line: list[str]
    log: Path
    folder: Path
    environment: dict[str, str]

    def __call__(self) -> int:
        """The exit code of kd, which becomes the job's: what needs it must not begin in vain."""
        code, end = self._run(), time.monotonic() + DEAD + 60
        while code == ExitCode.IN_USE and time.monotonic() < end:  # a node may have died at it
            time.sleep(AGAIN_SECONDS)
            code = self._run()
        if code in STOPPED:
            time.sleep(DECIDED_SECONDS)
            signal.raise_signal(signal.Signals[f"SIG{JobEnvironment.USR_SIG}"])
        if code:  # submitit's own is 0, whatever a function returns
            atexit.register(os._exit, code if code > 0 else 128 - code)
        return code

    def checkpoint(self) -> DelayedSubmission:
        """What is queued in its place, when submitit hears of a time limit or a preemption."""
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.terminate()
            self._child.wait()
        return DelayedSubmission(replace(self))

    def _run(self) -> int:
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self.line,
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self._child.wait()
