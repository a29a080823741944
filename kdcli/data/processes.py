"""Batches made by processes of their own, through torch."""

import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from kdcli.core.errors import KdError
from kdcli.data.workers import LONGEST_WAIT, lost_worker, refuse_no_workers

LOOKS = 2.0
"""Seconds between two looks whether kd is still there."""

T = TypeVar("T")


def by_workers(batches: Dataset[T], places: Iterable[Any], workers: int) -> Iterator[T]:
    """`batches[place]` of each, made by processes that live until the last one, and make the next
    ones while somebody works on this one.

    Raises:
        DataError: a process is lost, or none can be spoken to.
        KdError: whatever `batches` raises.
    """
    refuse_no_workers(workers)
    # A generator of its own: the DataLoader would draw from the global one. batch_size=None: what
    # the data set hands out are batches already.
    loader = DataLoader(
        _Answers(batches),
        batch_size=None,
        sampler=places,
        num_workers=workers,
        collate_fn=_as_it_is,
        generator=torch.Generator(),
        timeout=LONGEST_WAIT,
        worker_init_fn=partial(_end_with, os.getpid()),
    )
    try:
        for answer in loader:
            if isinstance(answer, KdError):
                raise answer
            yield answer
    except RuntimeError as error:  # torch says so of a worker that died, by its words alone
        if lost := lost_worker(error):
            raise lost from error
        raise


def _end_with(parent: int, _: int) -> None:
    """Of a kd that is killed outright no process stays: torch's would wait for ever to hand over
    the batch that nobody reads."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOKS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@dataclass(frozen=True, eq=False)
class _Answers(Dataset[Any]):
    """Batches, or the error met; a raised one would come wrapped in the worker's traceback."""

    batches: Dataset[Any]

    def __getitem__(self, place: Any) -> Any:
        try:
            return self.batches[place]
        except KdError as error:
            return error


def _as_it_is(answer: Any) -> Any:
    """What a worker hands out; torch would make tensors of arrays there."""
    return answer
