"""What compares in report.json: gain, p-value, gaps, ensembles, closer to whom."""

from typing import Literal

from kdcli.report.model import Change, ChangeRange, Part, Ratio, Share


class Speedup(Part):
    """Teacher's median latency over the student's."""

    pytorch: float
    onnxruntime: float


class ClassLostMost(Part):
    """A class whose recall falls from teacher (or release) to student: the farthest of all."""

    name: str
    drop: Change
    """teacher - student, > 0."""
    ci95: ChangeRange
    """It allows for having picked the worst of all classes."""
    test_images: int


Closer = Literal["ensemble", "single", "undecided"]


class CloserTo(Part):
    """Whom the student takes after, its ensemble or the best single teacher, in three ways.

    Undecided where the 95% interval of the difference of both distances holds 0.
    """

    accuracy: Closer
    """Whose accuracy is nearer."""
    agreement: Closer
    """Whose top-1 classes it gives more often."""
    kl: Closer
    """Whose probabilities are nearer."""


class EnsembleComparison(Part):
    """The student against an ensemble of teachers, and against the best of them on its own."""

    members: int
    best: int
    """Index in `teachers` of the best single one, by validation accuracy."""
    gain_over_single: Change
    """ensemble - best single teacher; intervals are paired, over images (and seeds)."""
    gain_over_single_ci95: ChangeRange
    gap_kept: Ratio | None
    """(student - single) / (ensemble - single); null below a point of ensemble - single."""
    gap_to_ensemble: Change
    """student - ensemble."""
    gap_to_ensemble_ci95: ChangeRange
    gap_to_single: Change
    """student - best single teacher."""
    gap_to_single_ci95: ChangeRange
    agreement_with_ensemble: Share
    agreement_with_single: Share
    agreement_with_members: Share
    """The mean over all of them."""
    kl_to_ensemble: float
    kl_to_single: float
    kl_to_members: float
    closer_to: CloserTo
    params_ratio: float = 1.0
    """ensemble / student; filled as `Comparison.size_reduction`."""
    macs_ratio: float | None = None


class SelfTraining(Part):
    """The student against one of its own kind that was taught by its baseline."""

    gain: Change
    """student - self-training."""
    gain_ci95: ChangeRange
    p_value: Share
    verdict_code: str


class Comparison(Part):
    """The student against baseline and teacher; of several teachers, against their ensemble.

    What compares with a teacher is null where there is none: in online and self-distillation.
    """

    gain: Change
    """student - baseline."""
    gain_ci95: ChangeRange
    p_value: Share
    detectable_gain: Share | None
    """The smallest gain that this comparison could have shown (80% power); null where it could
    have shown none."""
    gap_closed: Ratio | None = None
    """gain / (teacher - baseline); null where the teacher is not ahead."""
    size_reduction: Ratio | None = None
    """1 - params_student / params_teacher. What compares costs is filled whenever the record is
    written, with what the models cost by then."""
    macs_reduction: Ratio | None = None
    speedup: Speedup | None = None
    """teacher / student, median latency; null before an export."""
    accuracy_drop: Change | None = None
    """teacher - student."""
    agreement: Share | None = None
    distillation_score: Ratio | None = None
    size_priority: Share | None = None
    """a of the distillation score; null in an earlier kd's record."""
    seeds: int
    verdict_code: str
    balanced_gain: Change | None = None
    """student - baseline in balanced accuracy."""
    balanced_gain_ci95: ChangeRange | None = None
    class_lost_most: ClassLostMost | None = None
    """null where no class lost anything."""
    ensemble: EnsembleComparison | None = None
    """null where there is one teacher."""
    self_training: SelfTraining | None = None
    """null where nothing was learnt from images without labels."""


WORTH_CLOSING = 0.01
"""A share of a smaller gap than a point says nothing."""
