"""Pairs of outputs with features, and what a method makes of them, as the distiller asks it."""

from torch import Tensor, nn, zeros

from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs

ABOUT = About(num_classes=3, num_samples=8, steps_per_epoch=2, smallest_batch=4)
ONE_BY_ONE = About(num_classes=3, num_samples=8, steps_per_epoch=8, smallest_batch=1)
BATCH = Batch(*(zeros(4) for _ in range(5)))


def outputs(
    *features: Tensor, embedding: Tensor | None = None, preactivations: tuple[Tensor, ...] = ()
) -> Outputs:
    """Of a model with these features, stages alike."""
    first = (*features, *preactivations)[0]
    return Outputs(
        by="someone",
        logits=first.new_zeros(len(first), 3),
        stages=features,
        embedding=embedding,
        features=features,
        preactivations=preactivations,
    )


def built(
    method: Method, student: Outputs, teacher: Outputs, about: About = ABOUT
) -> nn.Module | None:
    """The adapter of a pair that was checked, in the pair's own precision."""
    method.check(student, teacher, about)
    adapter = method.adapter(student, teacher, about)
    return None if adapter is None else adapter.to(student.logits.dtype)


def score(
    method: Method, student: Outputs, teacher: Outputs, adapter: nn.Module | None = None
) -> Tensor:
    """The loss of a pair."""
    return method.loss(student, teacher, BATCH, adapter or built(method, student, teacher))
