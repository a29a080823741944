"""What a job of Slurm does on its node: one command of kd, until it is over or queued again."""

import atexit
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from submitit import JobEnvironment
from submitit.helpers import DelayedSubmission

from kdcli.core.errors import ExitCode
from kdcli.core.host_lock import DEAD
from kdcli.core.links import open_to_append
from kdcli.jobs.slurm_options import WARNING_SECONDS

STOPPED = (int(ExitCode.TERMINATED), int(ExitCode.INTERRUPTED), -signal.SIGTERM, -signal.SIGUSR2)
STOP_SECONDS = WARNING_SECONDS / 2
"""For kd to stop by itself: it gets the job's signals, too, and a second one makes haste."""
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
        if not self._ends(STOP_SECONDS):
            os.kill(self._child.pid, signal.SIGTERM)
            self._ends(STOP_SECONDS / 2)
        return DelayedSubmission(replace(self))

    def _ends(self, seconds: float) -> bool:
        """Whether kd does so, within this time. Called inside a wait for it, whose lock it must not
        take."""
        end = time.monotonic() + seconds
        with suppress(ChildProcessError):
            while not os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if time.monotonic() > end:
                    return False
                time.sleep(0.1)
        return True

    def _run(self) -> int:
        with open_to_append(self.log) as log:
            self._child = subprocess.Popen(
                self.line,
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self._child.wait()
