"""Recall per class as rows: all classes, or the worst of many."""

from kdcli.commands.model_part import ModelPart
from kdcli.commands.report import Report

UNEVEN = 1.5
"""Largest : smallest class from which on accuracy and balanced accuracy tell different stories."""
MANY = 50
"""Classes that are still listed whole."""
WORST = 10
"""Rows for more of them."""


def uneven(report: Report) -> bool:
    """Whether the classes of training or of test differ much in size."""
    if (data := report.data) is None:
        return False
    counts = [n for n in (data.test_images_by_class or {}).values() if n]
    return (data.imbalance or 1) > UNEVEN or (bool(counts) and max(counts) / min(counts) > UNEVEN)


def class_table(report: Report, roles: list[str]) -> list[list[str]]:
    """Heads and rows `[class, test images, recall and its 95% interval per role]`.

    In the order of the classes, or the student's worst first where there are many. Empty where
    nothing was measured.
    """
    student = report.models.get("student")
    if report.data is None or student is None or not student.recall:
        return []
    measured = [role for role in roles if report.models[role].recall]
    counts, names = report.data.test_images_by_class or {}, list(student.recall)
    head = "recall of class"
    if len(names) > MANY:
        head = f"recall of the student's {WORST} worst of {len(names)} classes"
        names = sorted(names, key=student.recall.__getitem__)[:WORST]
    return [
        [head, "test images", *measured],
        *(
            [name, str(counts.get(name, "-")), *(_cell(report.models[r], name) for r in measured)]
            for name in names
        ),
    ]


def _cell(part: ModelPart, name: str) -> str:
    if (value := (part.recall or {}).get(name)) is None:
        return "-"
    ends = (part.recall_ci95 or {}).get(name)
    return f"{value:.3f}" + (f" ({ends.low:.3f} to {ends.high:.3f})" if ends else "")
