"""The jobs of a sweep as files for engines that kd does not call itself."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from kdcli.core.errors import UsageError
from kdcli.core.text import counted, shown
from kdcli.jobs.engine import given
from kdcli.jobs.node import Node
from kdcli.jobs.slurm_options import WARNING_SECONDS, flags
from kdcli.recipe.safe_yaml import to_yaml

Kind = Literal["make", "slurm", "sky"]
"""Make, sbatch, SkyPilot."""


def emit(kind: Kind, file: Path, nodes: Sequence[Node], options: Mapping[str, str]) -> str:
    """A file that carries out what is missing of a sweep's; `options` are sbatch's."""
    for node in nodes:
        if shown(node.command) != node.command:  # no quoting holds them in all three
            raise UsageError(f"{node.words}: control characters, which no job file can hold")
    if kind == "make":
        return _makefile(file, nodes)
    return _sbatch_script(file, nodes, options) if kind == "slurm" else _sky_task(file)


def _makefile(file: Path, nodes: Sequence[Node]) -> str:
    """A target for each job, and none is a file: kd knows what is finished."""
    names = [node.name for node in nodes]
    lines = [f"# kd sweep {shown(file)}: make --keep-going --jobs 4 --makefile THIS"]
    said = {name: _escaped(text).replace("#", r"\#") for name, text in given().items()}
    lines += [f"export {name} = {text}" for name, text in said.items()]
    lines += [f".PHONY: all {' '.join(names)}", f"all: {' '.join(names)}"]
    for node in nodes:
        needs = "".join(f" {name}" for name in node.needs if name in names)
        lines += [
            "",
            f"# {shown(node.words)}",
            f"{node.name}:{needs}",
            f"\t{_escaped(node.command)}",
        ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("$", "$$")


_SCRIPT = """\
#!/bin/sh
# kd sweep {file}: sh THIS queues its jobs, each behind those that it needs
set -eu
{given}
logs="${{KD_RUNS:-runs}}/sweeps"
mkdir -p "$logs"
# NAME DEPENDENCY COMMAND: at its time limit kd stops with 143; queued again, it goes on
job() {{
  sbatch --parsable --job-name="$1" $2 --kill-on-invalid-dep=yes \\
    --requeue --open-mode=append --output="$logs/%x.log" --signal=TERM@{seconds} {options} <<END
#!/bin/sh
srun \\${{SLURM_CPUS_PER_TASK+--cpus-per-task=\\$SLURM_CPUS_PER_TASK}} $3
code=\\$?
[ \\$code -ne 143 ] || scontrol requeue \\$SLURM_JOB_ID
exit \\$code
END
}}

"""


def _sbatch_script(file: Path, nodes: Sequence[Node], options: Mapping[str, str]) -> str:
    text = _SCRIPT.format(
        file=shown(file),
        given="".join(f"export {name}={shlex.quote(text)}\n" for name, text in given().items()),
        seconds=WARNING_SECONDS,
        options=shlex.join(flags({k: v for k, v in options.items() if k != "job-name"})),
    )
    variables = {node.name: f"job{i}" for i, node in enumerate(nodes, 1)}
    for node in nodes:
        needs = "".join(f":${variables[name]}" for name in node.needs if name in variables)
        behind = f'"--dependency=afterok{needs}"' if needs else '""'
        job = f"job {node.name} {behind} {shlex.quote(node.command)}"
        text += f"# {shown(node.words)}\n{variables[node.name]}=$({job})\n"
    return f"{text}echo '{counted(len(nodes), 'job')} queued: squeue --me'\n"


_ABOUT_SKY = """\
# kd sweep {file} on one machine of a cloud or of Kubernetes: sky jobs launch THIS
# An instance that is taken away comes again, and goes on with what the bucket has. Choose the
# accelerators (a job runs on each); the bucket's name has to be nobody else's; KD is what pip
# installs. Images lie below this folder, or are mounted as the bucket is.
"""


def _sky_task(file: Path) -> str:
    """One task for all jobs: SkyPilot chains tasks one behind the other, and kd knows a graph."""
    name = "kd-" + re.sub(r"[^a-z0-9]+", "-", file.stem.lower()).strip("-")
    task = {
        "name": name,
        "resources": {"accelerators": "L4:1", "use_spot": True},
        "workdir": ".",
        "envs": {"KD": "kdcli", "KD_RUNS": "/kd/runs"},
        "file_mounts": {"/kd": {"name": f"{name}-runs", "mode": "MOUNT_CACHED"}},
        "setup": 'pip install "$KD"',
        "run": shlex.join(["kd", "sweep", str(file)]),
    }
    return _ABOUT_SKY.format(file=shown(file)) + to_yaml(task)
