"""`kd distill --only answers`: what the teachers say, stored for all trainings that will ask."""

from dataclasses import dataclass
from typing import Any

from kdcli.core.errors import UsageError
from kdcli.core.progress import Progress
from kdcli.core.text import counted
from kdcli.plan.job import Job
from kdcli.training.answers.fill_stores import fill_stores

ANSWERS = "answers"
"""What --only takes in place of a digest."""


@dataclass(frozen=True)
class Stored:
    """What is there now."""

    stores: tuple[str, ...]
    views: int
    images: int

    @property
    def words(self) -> str:
        """`answers to 4 views of 1,077 images: runs/answers/...`."""
        about = f"{counted(self.views, 'view')} of {counted(self.images, 'image')}"
        return f"answers to {about}: {', '.join(self.stores)}"

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {"stores": list(self.stores), "views": self.views, "images": self.images}


def store_answers(job: Job, progress: Progress) -> Stored:
    """Ask the teachers of a job's student once, as often as its training will look at an image.

    Raises:
        UsageError: its answers cannot be stored.
    """
    way = fill_stores(job.spec, job.site(progress))
    folders = tuple(str(store.folder) for store in way.stores)
    return Stored(folders, way.wanted, way.stores[0].images)


def refuse_with_answers(**flags: Any) -> None:
    """Raise UsageError for flags that are of a training."""
    if wrong := next((name for name, value in flags.items() if value), ""):
        raise UsageError(
            f"--only {ANSWERS} trains nothing; --{wrong.replace('_', '-')} is of a training",
            "leave one of the two out",
        )
