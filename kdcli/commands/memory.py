"""What an ONNX file takes of memory, in a process of its own: torch in this one would hide it."""

import json
import subprocess
import sys
from pathlib import Path

from kdcli.deploy import BENCH
from kdcli.progress import Progress

PATIENCE_SECONDS = 300.0


def peak_memory(file: Path, threads: int, progress: Progress) -> int | None:
    """Bytes that `bench.py` has at most while it opens and runs the file, above what it had before.

    None where the system does not say, or the process does not end well, which is said.
    """
    line = [sys.executable, str(BENCH), str(file), "--threads", str(threads), "--seconds", "0"]
    try:
        done = subprocess.run(
            line, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS
        )
        peak: int | None = json.loads(done.stdout)["models"][0]["peak_memory_bytes"]
    except (OSError, subprocess.SubprocessError, ValueError, LookupError) as error:
        progress.warn(f"{file}: its memory could not be measured: {error}")
        return None
    return peak
