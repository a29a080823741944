"""Which of several processes this one is, as its launcher says; before torch is loaded."""

import os
import re
from dataclasses import dataclass

from kdcli.core.errors import UsageError

LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),  # torchrun, accelerate, kd itself
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE"),
)
"""Under which names each says rank and number, of all and of those of this machine. A Slurm job's
own number of tasks does not count: it is there without `srun`, too."""

LOST = "memory may be full; the same command goes on from what is on disk"
"""What there is to say where one of several was killed."""


@dataclass(frozen=True)
class World:
    """The processes that train together, from this one's view."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Among those of this machine."""
    local_size: int = 1

    @property
    def is_alone(self) -> bool:
        return self.size == 1

    @property
    def is_first(self) -> bool:
        """The one that decides, writes and speaks."""
        return self.rank == 0


ALONE = World()


def launched_as() -> World:
    """What the environment says; `ALONE` where it says nothing.

    Raises:
        UsageError: it says what cannot be.
    """
    for names in LAUNCHERS:
        rank, size, local_rank, local_size = (os.environ.get(name, "") for name in names)
        if not size:
            continue
        here = re.match(r"\d+", local_size)  # of Slurm's `4(x2),3` the first
        said = (rank, size, local_rank or rank, here[0] if here else size)
        if not all(word.isdigit() for word in said):
            raise UsageError(
                f"{names[0]}={rank}, {names[1]}={size}: no place among several processes",
                "a launcher sets both: torchrun, accelerate launch, srun, kd --processes",
            )
        found = World(*map(int, said))
        if not found.rank < found.size or not found.local_rank < found.size:
            raise UsageError(
                f"{names[0]}={rank} of {names[1]}={size}: there is no such process",
                "start all of them by one launcher",
            )
        return found
    return ALONE
