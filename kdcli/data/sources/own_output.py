"""What kd has written into the folder of its images: `cd photos; kd distill --data .` makes
photos/runs, which is no class, and must not be removed as an empty one."""

import os
from pathlib import Path
from shlex import quote

from kdcli.core.text import shown, some
from kdcli.runs.find import runs_root
from kdcli.runs.layout import OF_EXPORTS, is_ours

_OF_A_RUN = ("run.yaml", "metrics.jsonl")


def is_output(place: str | Path) -> bool:
    """Whether it is where kd's runs lie now, or the folder of a run; either does not exist where
    images are looked for."""
    root = runs_root()
    if os.path.basename(place) == root.name and root.exists() and os.path.samefile(place, root):  # noqa: PTH119, PTH121
        return True
    return all(os.path.isfile(os.path.join(place, name)) for name in _OF_A_RUN)  # noqa: PTH113, PTH118


def left_out(folder: Path) -> tuple[str, ...]:
    """What is said of that."""
    names = [f"{shown(one.name)}/" for one in sorted(folder.iterdir()) if is_output(one)]
    return (f"left out, as kd wrote it: {some(names)}",) if names else ()


def way_out_of_output(folder: Path) -> str:
    """Of one without images: what kd wrote there, and where it should be; else empty."""
    inside = [*folder.iterdir(), *folder.glob("*/run.yaml"), *folder.glob("*/*/run.yaml")]
    written = [
        str(one.relative_to(folder))
        for one in sorted(inside)
        if is_ours(one.name) or OF_EXPORTS.fullmatch(one.name)
    ]
    if not written:
        return ""
    return (
        f"kd wrote it ({some(map(shown, written), 3)}): keep it, elsewhere: "
        f"mv {quote(str(folder))} SOMEWHERE (runs: and KD_RUNS=SOMEWHERE in the environment)"
    )
