"""Known holes of what a lock file names: `make audit`. Said aloud where the service is silent."""

import json
import subprocess
import sys
import urllib.request
from http.client import HTTPException

KNOWN = "https://pypi.org/pypi/pillow/9.0.0/json"
"""Of a release that has holes: a service, or a mirror, that tells of none here would tell of none
anywhere."""
SECONDS = 20


def why_silent() -> str:
    """Why nobody can be asked; empty where somebody answers."""
    try:
        with urllib.request.urlopen(KNOWN, timeout=SECONDS) as answer:
            found = json.load(answer).get("vulnerabilities")
    except (OSError, ValueError, HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    return "" if found else "it tells of no hole in a release that has some"


def main(lock: str) -> int:
    """The exit code: 1 with findings; 0 without, or where nobody answers, said so."""
    if why := why_silent():
        print(f"audit SKIPPED, nothing was looked up: {KNOWN}: {why}")
        return 0
    # strict: what cannot be looked up is no pass
    line = ["--strict", "--disable-pip", "--require-hashes", "--requirement", lock]
    return subprocess.run([sys.executable, "-m", "pip_audit", *line], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
