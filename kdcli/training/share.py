"""A training that several processes take part in: the first says which, the others follow."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kdcli.core.progress import Silent
from kdcli.data.source import Source
from kdcli.models.checkpoint import Weights
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec
from kdcli.training.answers.decide import Way
from kdcli.training.build import Assembled, assemble
from kdcli.training.devices import asked_for, open_device
from kdcli.training.loop import Ended, fit
from kdcli.training.processes.company import Company, company
from kdcli.training.processes.exchange import together
from kdcli.training.site import Site
from kdcli.training.threads import using
from kdcli.training.trajectory import Trail


@dataclass(frozen=True, eq=False)
class Shared:
    """What the others have to know of a training."""

    spec: Spec
    source: Source
    students: int
    teachers: Sequence[Path | None]
    way: Way
    run: Run
    threads: int
    """Of each process."""
    device: str = field(default_factory=asked_for)


@contextmanager
def shared(task: Shared) -> Iterator[None]:
    """Inside, everyone takes part."""
    if others := company():
        others.tell(task)
        with together():
            yield
    else:
        yield


def follow(others: Company) -> None:
    """Take part in everything that the first process shares, until it has ended."""
    for task in others.tasks():
        assert isinstance(task, Shared)
        site = Site(task.source, open_device(task.device), Silent(), students=task.students)
        with together(), using(task.threads):
            parts = assemble(task.spec, site, task.teachers, way=task.way)
            carry_out(task.run, task.spec, site, parts)


def carry_out(
    run: Run, spec: Spec, site: Site, parts: Assembled, trail: Trail | None = None
) -> tuple[dict[str, Weights], Ended]:
    """The loop over what was assembled: see `loop.fit`."""
    return fit(
        parts.distiller,
        spec.recipe.train,
        batches=parts.batches,
        steps_per_epoch=parts.steps_per_epoch,
        validate=parts.validate,
        seed=spec.seed,
        run=run,
        label=f"{spec.title} {spec.model}",
        progress=site.progress,
        alongside=parts.alongside,
        trail=trail,
        answered=parts.answered,
    )
