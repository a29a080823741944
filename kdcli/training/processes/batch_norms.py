"""Batch norms of several processes: each over its own images, or all over the whole batch."""

from torch import nn

from kdcli.core.errors import UsageError
from kdcli.core.progress import Progress
from kdcli.models.batch_norms import synchronise
from kdcli.recipe.train import Train
from kdcli.training.processes.exchange import current

NORMS = (nn.modules.batchnorm._BatchNorm,)


def with_batch_norms(model: nn.Module, train: Train) -> None:
    """As `train.sync_batchnorm` says, changed in place; weights and their names stay.

    Raises:
        UsageError: it is asked for where torch has none.
    """
    if current().is_alone or not train.sync_batchnorm:
        return
    if any(parameter.device.type != "cuda" for parameter in model.parameters()):
        raise UsageError(
            "train.sync_batchnorm: torch has it on GPUs alone",
            "leave it out: each process's batch norms then average over its own images",
        )
    synchronise(model)


def tell_of_batch_norms(model: nn.Module, train: Train, images: int, progress: Progress) -> None:
    """What is not as in one process."""
    size = current().size
    normed = any(isinstance(one, NORMS) for one in model.modules())
    if size > 1 and normed and not train.sync_batchnorm:
        progress.say(
            f"{size} processes: batch norms average over {images // size} images, each process's "
            f"own, in place of {images}; what they have counted is the first's"
        )
