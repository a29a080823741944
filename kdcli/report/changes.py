"""What a number was in the release and is now; what a gate on the change is held to."""

from dataclasses import dataclass

from kdcli.report.keys import value_at
from kdcli.report.model import Range
from kdcli.report.null_reasons import why_null
from kdcli.report.schema import Report

TWO_HOURS = "times of two hours are not compared; measured by turns: {}"
BY_TURNS = "models.student.latency_ms.onnxruntime.p50"
"""The key of a latency that is measured beside the release's (`against.latency_ms`)."""
MEASURED_ALIKE = {
    BY_TURNS: "latency_ms",
    "models.student.file_bytes": "file_bytes",
    "models.student.params": "params",
    "models.student.macs": "macs",
}
"""Of which a record's own number may have been counted otherwise, or elsewhere."""


@dataclass(frozen=True)
class Change:
    """A number before and now; None: not known, and `why`."""

    before: float | None
    now: float | None
    why: str = ""
    ci95: Range | None = None
    """Of before - now."""

    @property
    def drop(self) -> float | None:
        """before - now."""
        return None if self.before is None or self.now is None else self.before - self.now

    @property
    def ratio(self) -> float | None:
        """now / before; None of nothing before."""
        return self.now / self.before if self.before and self.now is not None else None


def change(key: str, report: Report, release: Report) -> Change:
    """Of a number by its full key; `report.against` holds what was measured side by side."""
    assert report.against is not None
    if field := MEASURED_ALIKE.get(key):
        found = getattr(report.against, field)
        return Change(None, None, found.why) if found.why else Change(found.before, found.now)
    if is_time(key):
        return Change(None, None, TWO_HOURS.format(BY_TURNS.removeprefix("models.")))
    before, now = (value_at(one.as_dict(), key) for one in (release, report))
    if before is None:
        return Change(None, now, f"of the release, {why_null(release, key)}")
    if now is None:
        return Change(before, None, why_null(report, key))
    if before == 0 == now:
        return Change(before, now, "0 before and now, which has no ratio", _ci95(key, report, 0.0))
    why = "0 before, which nothing can be divided by" if before == 0 else ""
    return Change(before, now, why, _ci95(key, report, before - now))


def is_time(key: str) -> bool:
    """Whether it is a latency, or follows from latencies that were taken in some other hour."""
    parts = key.split(".")
    return bool({"latency_ms", "measured", "p50", "p90", "p99", "cold"} & set(parts))


def _ci95(key: str, report: Report, drop: float) -> Range | None:
    """Of a drop that was tested on the same images: the accuracy's, that of a class which lost."""
    found = report.against
    assert found is not None
    if key == "models.student.accuracy" and abs(found.gain + drop) < 1e-9:
        return Range(low=-found.gain_ci95.high, high=-found.gain_ci95.low)
    lost = (one for one in found.classes_lost if key == f"models.student.recall.{one.name}")
    return next((one.ci95 for one in lost if abs(one.drop - drop) < 1e-9), None)


def interval_at(report: Report, key: str) -> Range | None:
    """The interval of a number of the record, where it has one."""
    whole, _, last = key.rpartition(".")
    if last == "worst_class_recall":
        part = report.models.get(whole.removeprefix("models."))
        name = part.worst_class if part else None
        return part.recall_ci95.get(name) if part and part.recall_ci95 and name else None
    before, found, name = key.partition(".recall.")
    sides = [f"{before}.recall_ci95.{name}"] if found else [f"{key}_ci95", f"{whole}.ci95"]
    sides = sides if found or last == "drop" else sides[:1]
    for side in sides:
        low, high = (value_at(report.as_dict(), f"{side}.{end}") for end in ("low", "high"))
        if low is not None and high is not None:
            return Range(low=low, high=high)
    return None
