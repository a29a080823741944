"""A student's file in 8-bit integers: calibrated on training images, chosen on validation."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import get_args

import numpy as np

from kdcli.core.arrays import Floats
from kdcli.core.errors import DamagedFile, DataError, KdError, ParityError, UsageError
from kdcli.core.machine import lacks_vnni
from kdcli.core.progress import Progress, track_long
from kdcli.core.text import counted, first_line
from kdcli.data.source import Source
from kdcli.deploy.int8_candidates import Candidate, choose, measured, timed, worth_leaving_out
from kdcli.deploy.onnx_file.int8 import ACTIVATIONS, calibrate, outer_layers, preprocess, quantize
from kdcli.deploy.onnx_file.read import load
from kdcli.deploy.onnx_file.session import filled, open_session
from kdcli.deploy.onnx_file.write import write
from kdcli.deploy.parity import answers
from kdcli.deploy.samples import Samples, split_of
from kdcli.evaluation import metrics
from kdcli.models.loading import Loaded
from kdcli.report.choices import Calibration, Target
from kdcli.report.export import QuantizedPart, TriedPart
from kdcli.runs.locate import Located

CALIBRATED_ON = 256
"""Training images, spread evenly over the split."""
CHOSEN_ON = 2000
"""Validation images at most: each candidate is asked about all of them."""
CALIBRATION_BATCH = 16
"""Images of a batch, whose activations are in memory at once."""


@dataclass(frozen=True, eq=False)
class Images:
    """What an int8 file is made from; never the test images."""

    training: Samples
    validation: Samples


def refuse_without_images(located: Located) -> None:
    """Before any work: int8 needs the images that the model was trained with.

    Raises:
        UsageError: a lone model.pt.
        DataError: the data of the run are gone.
    """
    if located.run is None:
        raise UsageError(
            f"--int8: {located.model} has no run around it, so no images to calibrate on",
            "give the run that made it, or export it without --int8",
        )
    raise DataError(
        f"--int8: the data of {located.run.path} are gone, so there are no images to calibrate on",
        f"bring {located.run.spec.data.location} back, say where they lie now (--data NEW), or "
        "export without --int8",
    )


def images_of(located: Located, student: Loaded, source: Source, progress: Progress) -> Images:
    """As the student is fed when it is evaluated: no augmentation."""
    splits = source.train.sample(CALIBRATED_ON), source.validation.sample(CHOSEN_ON)
    return Images(*(split_of(located, student, one, progress) for one in splits))


def quantized(
    core: Path, images: Images, target: Target, progress: Progress
) -> tuple[Path, QuantizedPart]:
    """The best of all ways to quantise the file `core`, in a file beside it.

    Candidates are three calibrations, with and without onnxruntime's pre-processing (without alone
    where that changes no operator); `int8_candidates.choose` says which is best. Where that one
    loses accuracy, its first layer, its last, and both are left out; what saves accuracy is chosen
    from, too.

    Raises:
        ParityError: none could be made.
    """
    workbench = Workbench.of(core, images, target, progress)
    found, failed = workbench.made()
    candidates, noise = timed(core, found, workbench.side)
    best = choose([one.tried for one in candidates], workbench.accuracy, noise)
    chosen = next(one for one in candidates if one.tried is best)
    others: list[Candidate] = []
    if workbench.accuracy > (best.accuracy or 0.0):
        variants, more = workbench.without_outer(chosen)
        (chosen, *others), noise = timed(core, [chosen, *variants], workbench.side)
        saving = worth_leaving_out(chosen.tried, [one.tried for one in others])
        best = choose([chosen.tried, *saving], workbench.accuracy, noise)
        chosen = next(one for one in [chosen, *others] if one.tried is best)
        failed += more
    progress.say(f"int8: taken of {counted(len(candidates + others), 'file')}: {_words(best)}")
    tried = [*(one.tried for one in [*candidates, *others]), *failed]
    return chosen.path, workbench.part(best, noise, tried)


@dataclass(frozen=True, eq=False)
class Workbench:
    """Where candidates are made and measured."""

    core: Path
    batches: list[Floats]
    """Of training images, as the file is fed; one that takes no fewer has the last filled up."""
    calibrated_on: int
    """How many these are."""
    validation: Samples
    expected: Floats
    """(N, K), of the fp32 file on validation."""
    target: Target
    reduce_range: bool
    progress: Progress
    numbers: Iterator[int] = field(default_factory=count)
    """Of the files."""

    @classmethod
    def of(cls, core: Path, images: Images, target: Target, progress: Progress) -> "Workbench":
        """All that candidates have in common."""
        session = open_session(core)
        size = session.fixed or CALIBRATION_BATCH
        batches = [images.training.ready(pixels) for pixels in images.training.pixels(size)]
        if session.fixed:  # it takes no fewer
            batches[-1] = filled(batches[-1], size)
        expected = answers(session, images.validation)
        reduce = target == "x86" and lacks_vnni()  # by this machine: the target is not at hand
        count = len(images.training)
        return cls(core, batches, count, images.validation, expected, target, reduce, progress)

    @property
    def side(self) -> int:
        """Pixels of the images' sides."""
        return self.validation.image_size

    @property
    def accuracy(self) -> float:
        """Of fp32, on validation."""
        return metrics.accuracy(self.expected, self.validation.store.labels)

    def made(self) -> tuple[list[Candidate], list[TriedPart]]:
        """All calibrations of all sources that worked; and those that did not."""
        kinds: tuple[Calibration, ...] = get_args(Calibration)
        todo = [(kind, source) for source in self._sources() for kind in kinds]
        tracked = track_long(self.progress, todo, "int8: calibrating")
        found, failed = _sorted(self._attempt(kind, source) for kind, source in tracked)
        if not found:
            raise ParityError(
                f"no int8 file could be made: {failed[0].failed}", "export it without --int8"
            )
        return found, failed

    def without_outer(self, best: Candidate) -> tuple[list[Candidate], list[TriedPart]]:
        """The same with its first layer, its last, and both in float32."""
        first, last = outer_layers(best.source)
        ways = [[first], [last], [first, last]] if first != last else []
        kind = best.tried.calibration
        return _sorted(self._attempt(kind, best.source, best.ranges, way) for way in ways)

    def _sources(self) -> list[Path]:
        """The file, and what pre-processing makes of it where that is another one."""
        prepared = self.core.with_name("preprocessed.onnx")
        try:
            preprocess(self.core, prepared)
        except Exception as error:  # onnxruntime's errors have no common class of their own
            self.progress.say(f"int8: pre-processing failed: {_its_own(error)}")
            return [self.core]
        if _operators(prepared) != _operators(self.core):
            return [self.core, prepared]
        self.progress.say("int8: pre-processing changes no operator, so it is left out")
        return [self.core]

    def _attempt(
        self, kind: Calibration, source: Path, ranges: object = None, left_out: Sequence[str] = ()
    ) -> Candidate | TriedPart:
        """Made, unless that fails; calibrated where the `ranges` are not known yet."""
        tried = TriedPart(
            calibration=kind, preprocessed=int(source != self.core), left_out=list(left_out)
        )
        try:
            ranges = ranges or calibrate(source, self.batches, kind)
            return self._candidate(tried, source, ranges)
        except Exception as error:  # as above; the other candidates go on
            reason = _its_own(error)
            self.progress.say(f"int8: {_words(tried)} failed: {reason}")
            return tried.model_copy(update={"failed": reason})

    def _candidate(self, tried: TriedPart, source: Path, ranges: object) -> Candidate:
        path = source.with_name(f"int8-{next(self.numbers)}.onnx")
        proto = quantize(
            source,
            ranges,
            self.target,
            left_out=tried.left_out,
            reduce_range=self.reduce_range,
        )
        write(proto, path, {})
        found = answers(open_session(path), self.validation)
        if not np.isfinite(found).all():
            raise ValueError("its answers are no numbers")
        tried = measured(tried, path, found, self.expected, self.validation.store.labels)
        self.progress.say(
            f"int8: {_words(tried)}: accuracy on validation {tried.accuracy:.4f} (fp32 "
            f"{self.accuracy:.4f}), KL {tried.kl:.2g}"
        )
        return Candidate(path, source, ranges, tried)

    def part(self, best: TriedPart, noise: float, tried: list[TriedPart]) -> QuantizedPart:
        """The record."""
        assert best.accuracy is not None  # it did not fail
        return QuantizedPart(
            target=self.target,
            calibration=best.calibration,
            images=self.calibrated_on,
            preprocessed=best.preprocessed,
            left_out=best.left_out,
            activations=ACTIVATIONS[self.target],
            reduce_range=int(self.reduce_range),
            validation_images=len(self.validation),
            accuracy=best.accuracy,
            accuracy_fp32=self.accuracy,
            noise=noise,
            tried=tried,
        )


def _sorted(
    tried: Iterable[Candidate | TriedPart],
) -> tuple[list[Candidate], list[TriedPart]]:
    """What worked, and what failed."""
    all_of_them = list(tried)
    found = [one for one in all_of_them if isinstance(one, Candidate)]
    return found, [one for one in all_of_them if isinstance(one, TriedPart)]


def _operators(path: Path) -> Counter[tuple[str, str]]:
    return Counter((node.domain, node.op_type) for node in load(path).graph.node)


def _words(tried: TriedPart) -> str:
    """`Entropy, pre-processed, without node_Conv_1`."""
    words = [tried.calibration, *["pre-processed"] * tried.preprocessed]
    return ", ".join([*words, *(f"without {name}" for name in tried.left_out)])


def _its_own(error: Exception) -> str:
    """The first line of what one candidate failed of; what would stop all of them is raised again:
    a full disk or memory, Ctrl-C."""
    if isinstance(error, OSError | MemoryError | KdError) and not isinstance(error, DamagedFile):
        raise error
    return first_line(error)
