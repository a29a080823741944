"""What `--slurm partition=gpu,time=4:00:00,gres=gpu:1` says: options of sbatch, by their names."""

import math
import re
from collections.abc import Iterable, Mapping

from kdcli.core.errors import UsageError
from kdcli.core.text import did_you_mean

OPTIONS = (
    *("account", "acctg-freq", "begin", "clusters", "cluster-constraint", "comment", "constraint"),
    *("container", "cores-per-socket", "cpu-freq", "cpus-per-gpu", "cpus-per-task", "deadline"),
    *("exclude", "exclusive", "extra-node-info", "gpu-bind", "gpu-freq", "gpus", "gpus-per-node"),
    *("gpus-per-task", "gres", "gres-flags", "hint", "job-name", "licenses", "mail-type"),
    *("mail-user", "mem", "mem-bind", "mem-per-cpu", "mem-per-gpu", "mincpus", "network", "nice"),
    *("nodelist", "partition", "prefer", "priority", "qos", "reservation", "sockets-per-node"),
    *("switches", "threads-per-core", "time", "tmp", "wckey"),
)
"""What may be said of a job."""
KDS_OWN = (
    *("array", "chdir", "dependency", "error", "export", "kill-on-invalid-dep", "nodes", "ntasks"),
    *("ntasks-per-node", "no-requeue", "open-mode", "output", "requeue", "signal", "time-min"),
    *("wait", "wrap"),
)
DEFAULTS = {"job-name": "kd", "time": "4:00:00"}
WARNING_SECONDS = 120
"""Before a time limit a job is told, stops in good order, and is queued again."""


def read_options(texts: Iterable[str]) -> dict[str, str]:
    """By name, with `DEFAULTS`; "" where one takes no value. What has no `=` belongs to the value
    before it: `gres=gpu:1,nvme:1,qos=high`.

    Raises:
        UsageError: an option that is not known, is kd's own, or lacks its value.
    """
    found: dict[str, str] = {}
    for text in texts:
        key = ""
        for piece in text.split(","):
            name, sign, value = piece.partition("=")
            name = name.strip().removeprefix("--").replace("_", "-")
            if key and not sign and name != "exclusive":
                found[key] += f",{piece}"
                continue
            key = name
            _refuse(key, value, text)
            found[key] = value
    minutes(found.get("time", "1"))
    return DEFAULTS | found


def _refuse(key: str, value: str, text: str) -> None:
    if key in KDS_OWN:
        raise UsageError(
            f"--slurm {text}: '{key}' is set by kd: a job is one process on one node, queued "
            "behind those that it needs, and queued again at its time limit"
        )
    if key not in OPTIONS:
        raise UsageError(
            f"--slurm {text}: no option '{key}' of sbatch{did_you_mean(key, OPTIONS)}",
            f"there are {', '.join(OPTIONS)}",
        )
    if not value and key != "exclusive":
        raise UsageError(f"--slurm {text}: '{key}' lacks its value", f"--slurm {key}=...")


_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")


def minutes(time: str) -> int:
    """Of a time as Slurm has it: `30`, `30:00`, `4:00:00`, `1-12`, `1-12:00`, `1-12:00:00`.

    Raises:
        UsageError: it is none, or no time at all.
    """
    match = _TIME.fullmatch(time)
    if match:
        days, *parts = match.groups()
        given = [int(part) for part in parts if part]
        if days or len(given) == 3:
            hours, past, seconds = (*given, 0, 0)[:3]
        else:
            hours, past, seconds = 0, *(*given, 0)[:2]
        if total := math.ceil(((int(days or 0) * 24 + hours) * 60 + past) + seconds / 60):
            return total
    raise UsageError(
        f"--slurm time={time}: no time that Slurm knows", "MINUTES, HH:MM:SS or DAYS-HH:MM:SS"
    )


def flags(options: Mapping[str, str]) -> list[str]:
    """As sbatch takes them: `--gres=gpu:1`, `--exclusive`."""
    return [f"--{key}={value}" if value else f"--{key}" for key, value in options.items()]
