"""Contrastive representation distillation: tell an image from others by what the teacher saw."""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from kdcli.core.layers import Projections
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Outputs
from kdcli.core.undefined_losses import refuse_single_images

WIDTH = 128
"""Of the space in which the two are compared; the authors' own."""


class CRD(Method):
    """Contrastive Representation Distillation (Tian, Krishnan, Isola), arXiv:1910.10699.

    Each model's embedding is told apart from what the other one's memory holds of other images.
    The images of a batch share one draw of these, of which each leaves out those of its own class.
    The memories take 2 x 128 numbers per training image.
    """

    kind = "relation"
    across_images = True
    needs = frozenset({"embedding"})
    default_weight = 0.8
    weight_source = "RepDistiller's scripts"

    # all defaults are those of the authors' code
    temperature: PositiveFloat = 0.07
    """Divides the cosine of two embeddings."""
    negatives: PositiveInt = 16384
    """Images drawn per step to be told apart from; all there are, where there are fewer."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """How much of an image's old embedding its memory keeps."""
    other_classes: bool = True
    """Images of the same class are no negatives, where the labels are known."""

    def check(self, student: Outputs, teacher: Outputs, about: About) -> None:
        refuse_single_images(about)

    def adapter(self, student: Outputs, teacher: Outputs, about: About) -> nn.Module:
        assert student.embedding is not None
        assert teacher.embedding is not None
        return Memory(self, student.embedding.shape[1], teacher.embedding.shape[1], about)

    def loss(
        self, student: Outputs, teacher: Outputs, batch: Batch, adapter: nn.Module | None
    ) -> Tensor:
        assert adapter is not None
        found: Tensor = adapter(student.embedding, teacher.embedding, batch.index)
        return found


class Memory(nn.Module):
    """The last embedding of every training image by both models, and the layers in front of it."""

    student_bank: Tensor
    teacher_bank: Tensor
    normalisers: Tensor
    groups: Tensor

    def __init__(self, options: CRD, student: int, teacher: int, about: About) -> None:
        super().__init__()
        self.options = options
        self.projections = Projections(student, teacher, WIDTH)
        self.register_buffer("student_bank", _unwritten(about.num_samples))
        self.register_buffer("teacher_bank", _unwritten(about.num_samples))
        self.register_buffer("normalisers", torch.zeros(2))  # 0: not fixed yet
        # not kept in checkpoints: the labels say it again
        self.register_buffer("groups", _groups(about, options.other_classes), persistent=False)

    def forward(self, student: Tensor, teacher: Tensor, index: Tensor) -> Tensor:
        """The loss; a training step then remembers what it saw, a probe does not."""
        mine, theirs = (F.normalize(e, dim=1) for e in self.projections(student, teacher))
        drawn = self._draw()
        negative = self.groups[index, None] != self.groups[drawn]
        scores = torch.stack(
            [
                crd_scores(anchor, bank[index], bank[drawn], self.options.temperature)
                for anchor, bank in ((mine, self.teacher_bank), (theirs, self.student_bank))
            ]
        )
        normalisers = self._normalisers(scores.detach(), negative)
        if self.training and torch.is_grad_enabled():
            self._remember(mine.detach(), theirs.detach(), index, normalisers)
        student_scores, teacher_scores = scores / normalisers[:, None, None]
        return crd_loss(student_scores, teacher_scores, negative, len(self.groups))

    def _draw(self) -> Tensor:
        """Rows of the banks, from the generator that every step seeds anew: resumed runs repeat."""
        n, device = len(self.groups), self.groups.device
        if self.options.negatives >= n:
            return torch.arange(n, device=device)
        return torch.randperm(n, device=device)[: self.options.negatives]

    def _normalisers(self, scores: Tensor, negative: Tensor) -> Tensor:
        """(2,): those of the first batch, kept from then on, as the authors' Z is."""
        first = torch.stack([crd_normaliser(s, negative, len(self.groups)) for s in scores])
        return torch.where(self.normalisers > 0, self.normalisers, first)

    @torch.no_grad()
    def _remember(
        self, student: Tensor, teacher: Tensor, index: Tensor, normalisers: Tensor
    ) -> None:
        """What was scored are copies of the banks' rows: writing here spoils no gradient."""
        self.normalisers.copy_(normalisers)
        same = (index[:, None] == index).to(student.dtype)  # an image may stand twice in a batch
        same /= same.sum(1, keepdim=True)
        for bank, seen in ((self.student_bank, student), (self.teacher_bank, teacher)):
            bank[index] = renewed(bank[index], same @ seen, self.options.momentum)


def crd_loss(
    student_scores: Tensor, teacher_scores: Tensor, negative: Tensor, num_samples: int
) -> Tensor:
    """Noise-contrastive estimation on both sides: which of these is the image itself?

    `student_scores`, `teacher_scores` (B, 1 + K): each model's `crd_scores` divided by its
    normaliser. `negative` (B, K), boolean: which of the K others count. `num_samples`: of which
    they were drawn. Sum over the images told apart, mean over the batch; not divided by K, as in
    the authors' code, to which the weight belongs.
    """
    sides = (student_scores, teacher_scores)
    return torch.stack([_contrast(scores, negative, num_samples) for scores in sides]).sum()


def crd_scores(anchor: Tensor, own: Tensor, others: Tensor, temperature: float) -> Tensor:
    """(B, 1 + K): exp(cosine / temperature) with one's own row of a bank, then with the others'.

    `anchor` (B, D), `own` (B, D), `others` (K, D): of length 1.
    """
    cosines = torch.cat([(anchor * own).sum(1, keepdim=True), anchor @ others.T], dim=1)
    return (cosines / temperature).exp()


def crd_normaliser(scores: Tensor, negative: Tensor, num_samples: int) -> Tensor:
    """(): the mean score of those that count, times `num_samples`: what sums them to about 1."""
    counts = torch.cat([negative.new_ones(len(negative), 1), negative], dim=1)
    return (scores * counts).sum() / counts.sum() * num_samples


def renewed(remembered: Tensor, seen: Tensor, momentum: float) -> Tensor:
    """(B, D) rows of a bank after a step, of length 1."""
    return F.normalize(momentum * remembered + (1 - momentum) * seen, dim=1)


def _contrast(scores: Tensor, negative: Tensor, num_samples: int) -> Tensor:
    """Of one side. Its noise is uniform over all images; 1e-7 as in the authors' code."""
    noise = negative.sum(1, keepdim=True, dtype=scores.dtype) / num_samples
    own, others = scores[:, :1], scores[:, 1:]
    itself = own.log() - (own + noise + 1e-7).log()
    rejected = noise.log() - (others + noise + 1e-7).log()
    return -(itself.sum() + rejected.masked_fill(~negative, 0).sum()) / len(scores)


def _unwritten(num_samples: int) -> Tensor:
    """A bank of (num_samples, `WIDTH`) random rows of about length 1 (what is uniform in [-s, s]
    has the variance s² / 3), as in the authors' code."""
    return torch.empty(num_samples, WIDTH).uniform_(-1, 1) * math.sqrt(3 / WIDTH)


def _groups(about: About, other_classes: bool) -> Tensor:
    """(num_samples,): images with the same number are no negatives of each other."""
    labels = about.labels
    if not other_classes or labels is None or bool((labels < 0).any()):
        return torch.arange(about.num_samples)
    return labels.clone()
