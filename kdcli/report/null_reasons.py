"""Why a number of the report is null: what a gate on it says."""

import re

from kdcli.report.comparison import WORTH_CLOSING
from kdcli.report.schema import Report, has_other_classes, imitated

_OF_EXPORT = re.compile(r"\.(latency_ms|file_bytes)\b")
_OF_EVALUATE = re.compile(
    r"\.(accuracy|balanced_|macro_f1|worst_class|recall|nll|ece|train_seconds)"
)
_OF_ANSWERS = (
    *("agreement", "kl_to_teacher", "gap_closed", "accuracy_drop", "distillation_score"),
    *("size_priority", "class_lost_most"),
)
"""What compares with a teacher's answers; what follows, with its costs."""
_OF_TEACHER = (*_OF_ANSWERS, "size_reduction", "macs_reduction", "speedup")
_OTHERS = "the teacher has other classes than the data"


def why_null(report: Report, key: str) -> str:
    """In words that follow "is null"; `key` is a full path, such as `comparison.gap_closed`."""
    first, _, rest = key.partition(".")
    if first == "models":
        return _of_model(report, rest)
    if first == "comparison":
        return _of_comparison(report, rest)
    if first == "against":
        return _of_against(report, rest)
    if first in ("exports", "packages", "teachers"):
        return _of_list(report, first, rest)
    if first == "data" and report.data is None:
        return "kd evaluate measures it"
    if key == "data.test_images_seen":
        return "an earlier kd wrote this report, or what it has learnt from is not known"
    if first in ("noise", "noise_pytorch", "threads") and not report.exports:
        return "kd export measures it"
    if first == "licences" and report.licences is None:
        return "an earlier kd wrote this report"
    return "this run has none"


def _of_model(report: Report, key: str) -> str:
    role, _, field = key.partition(".")
    if role not in report.models:
        return f"this run has no {role}, only {', '.join(report.models)}"
    if _OF_EXPORT.search(key):
        return "kd export measures it"
    if field.startswith(_OF_TEACHER):
        return _without_answers(report, field) or "kd evaluate measures it"
    if field.startswith("recall") and report.models[role].recall:
        return "this class has no test images"
    if role == "teacher" and has_other_classes(report) and field != "macs":
        return _OTHERS
    if _OF_EVALUATE.search(key) and report.models[role].accuracy is None:
        return "kd evaluate measures it"
    if field.startswith(("accuracy_sd", "seeds")):
        return "there is one seed: kd evaluate --seeds 3"
    if field.startswith("terms"):
        return "it learnt from a single term, or its run is not at hand"
    if field.startswith("curve"):
        return "its run is not at hand"
    if field.startswith("maps"):
        return "only students of scheme attention_self have it"
    return "it cannot be counted of this model" if field == "macs" else "nobody has measured it"


def _of_comparison(report: Report, key: str) -> str:
    found = report.comparison
    if found is None:
        alone = report.data is not None
        return "the model was measured alone" if alone else "kd evaluate compares the student"
    if key.startswith("ensemble") and found.ensemble is None:
        return "there is no ensemble of teachers"
    if key.startswith("self_training"):
        return "nothing was learnt from images without labels (data.labelled_share)"
    if key == "ensemble.gap_kept":
        return f"the ensemble is less than {100 * WORTH_CLOSING:g} point ahead of its best member"
    if key == "detectable_gain":
        return "test images are too few, or seeds too far apart, to show any"
    if key.startswith(_OF_TEACHER) and (reason := _without_answers(report, key)):
        return reason
    if key == "gap_closed":
        return "the teacher is not ahead of the baseline"
    if key.startswith("speedup"):
        return "kd export measures it"
    if "macs" in key:
        return "the MACs of one of the two cannot be counted"
    return _without_teacher(report) or "an earlier kd wrote this report"


def _of_against(report: Report, key: str) -> str:
    found = report.against
    if found is None:
        return "kd evaluate --against RELEASE compares"
    if key == "detectable_gain":
        return "test images are too few, or seeds too far apart, to show any"
    if key.startswith("classes_lost"):
        return f"{len(found.classes_lost) or 'no'} classes lost anything"
    return getattr(found, key.partition(".")[0]).why or "it cannot be counted of this model"


def _of_list(report: Report, name: str, key: str) -> str:
    number, _, field = key.partition(".")
    entries = getattr(report, name) or []
    if int(number) >= len(entries):
        if name == "teachers":
            return f"{len(entries) or 'no'} such entries: only several teachers are listed"
        return f"kd export has written {len(entries)} of them, counted from 0"
    part = field.partition(".")[0]
    reasons = {
        "worth": "an fp32 file has no verdict on its precision",
        "quantized": "the file is not int8",
        "fold": "the student has one head, or there were no validation images",
        "accuracy": "there were no test images",
        "measured": "no device has measured it: kd export --measured",
        "batch": "the file takes any number of images",
    }
    return reasons.get(part, "nobody has measured it")


def _without_answers(report: Report, key: str) -> str:
    """Why what compares with a teacher cannot; empty: it can."""
    if key.startswith(_OF_ANSWERS) and has_other_classes(report):
        return _OTHERS
    return _without_teacher(report)


def _without_teacher(report: Report) -> str:
    return "" if imitated(report.models) else "there is no teacher to compare with"
