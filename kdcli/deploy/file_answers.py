"""What an exported file answers to the test images, run by onnxruntime as it would be elsewhere."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kdcli.core.class_order import places_in
from kdcli.core.errors import DamagedFile
from kdcli.core.progress import Progress, track_long
from kdcli.data.source import Split
from kdcli.deploy.onnx_file.feeding import feeding_of
from kdcli.deploy.onnx_file.read import EXPORT_AGAIN
from kdcli.deploy.onnx_file.session import open_session
from kdcli.deploy.recorded_sums import refuse_changed_export
from kdcli.evaluation.answers import Logits


def file_answers(file: Path, test: Split, classes: Sequence[str], progress: Progress) -> Logits:
    """(N, K) logits (of files that give probabilities, their logarithms) in the order of the data's
    classes.

    Raises:
        UsageError: no file of kd.
        UnfitTeacher: its classes are not the data's.
        DamagedFile: it answers what cannot be, or is not the one that its run's record tells of.
    """
    refuse_changed_export(file)
    feeding, session = feeding_of(file), open_session(file, 0)
    places = places_in(feeding.classes, classes, str(file), "compare files of these classes")
    size = feeding.together
    starts = range(0, len(test), size)
    found = [
        session(feeding.ready([test.read(row) for row in range(len(test))[start : start + size]]))
        for start in track_long(progress, starts, f"{file} asked about {len(test):,} images")
    ]
    answers = np.concatenate(found)
    known = len(feeding.classes)
    if answers.shape[1:] != (known,) or not np.isfinite(answers).all():
        raise DamagedFile(f"{file}: its answers are none to its {known} classes", EXPORT_AGAIN)
    if feeding.probabilities:
        answers = np.log(np.maximum(answers, np.finfo(np.float32).tiny))
    return answers if places is None else answers[:, places]
