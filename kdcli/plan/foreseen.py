"""What was foreseen: what the trainings of a command take, and what would shorten the wait."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from kdcli.core.text import duration, size_in_words
from kdcli.plan.estimate import Estimate
from kdcli.runs.spec import Spec


@dataclass(frozen=True)
class Shorter:
    """A change that would shorten the wait, and the seconds that all of it would then take."""

    what: str
    ask: str
    seconds: float

    @property
    def words(self) -> str:
        """With the time that all would take then."""
        return f"shorter: {self.what}: {self.ask} ~ {duration(self.seconds)} in all"


@dataclass(frozen=True)
class Forecast:
    """All that the command will train, the baseline that `kd evaluate` will, and what they take."""

    now: tuple[Estimate, ...]
    later: tuple[Estimate, ...]
    free_bytes: int
    shorter: tuple[Shorter, ...] = ()
    threads: Mapping[str, int | None] = field(default_factory=dict)
    """Of those to be trained now, by `Spec.kind`."""

    def threads_of(self, spec: Spec) -> int | None:
        """With how many it is to be trained; None: that is no matter, or nobody has looked."""
        return self.threads.get(spec.kind)

    @property
    def seconds(self) -> float:
        """Until the command ends: the baseline, which `kd evaluate` trains, is not in it."""
        return sum(one.all_seconds for one in self.now)

    @property
    def disk_bytes(self) -> int:
        """At most, while they train: one after another, so that there is one resume state at a
        time, beside the one that it replaces, and the models of all."""
        everyone = (*self.now, *self.later)
        most = max((one.state_bytes for one in everyone), default=0)
        return sum(one.all_bytes for one in everyone) + 2 * most

    @property
    def memory_bytes(self) -> int:
        """At most: one is in memory at a time."""
        return max((one.memory_bytes for one in (*self.now, *self.later)), default=0)

    def lines(self) -> list[str]:
        """In words: the plan, how teachers are asked, and what would shorten it."""
        if not self.now:
            return ["plan: nothing to train, it is finished"]
        trainings = [one.words for one in self.now]
        later = "".join(f" ({one.role} later ~ {duration(one.seconds)})" for one in self.later)
        ends = datetime.now() + timedelta(seconds=self.seconds)
        disk, free = size_in_words(self.disk_bytes), size_in_words(self.free_bytes)
        # trainings that crop alike share them
        kept = sum({one.photograph_bytes for one in (*self.now, *self.later)})
        cached = f", {size_in_words(kept)} of photographs cached" if kept else ""
        words = (
            f"plan: {', '.join(trainings)}: about {duration(self.seconds)} in all{later}; "
            f"{disk} disk{cached} ({free} free), ~ {size_in_words(self.memory_bytes)} memory; "
            f"finishes about {ends:%H:%M}{_days(ends)}"
        )
        asked = dict.fromkeys(one.answers for one in self.now if one.answers)
        return [words, *asked, *(one.words for one in self.shorter)]

    def as_dict(self) -> dict[str, Any]:
        """For --json: a line of numbers for each training, in seconds and bytes."""
        ends = datetime.now() + timedelta(seconds=self.seconds)
        return {
            "now": [vars(one) for one in self.now],
            "later": [vars(one) for one in self.later],
            "seconds": self.seconds,
            "finishes": ends.isoformat("T", "minutes"),
            "disk_bytes": self.disk_bytes,
            "free_disk_bytes": self.free_bytes,
            "memory_bytes": self.memory_bytes,
            "shorter": [vars(one) for one in self.shorter],
        }


def _days(ends: datetime) -> str:
    days = (ends.date() - datetime.now().date()).days
    return "" if days == 0 else " tomorrow" if days == 1 else f" in {days} days"
