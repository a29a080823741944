"""What each method is worth on digits: every shipped recipe against the baseline, three seeds.

    python benchmarks/methods.py [--pool DIR] [--only kd,at,...] [--write] [--json]

A teacher (resnet34) and a student (mobilenetv3_small_050) that are small enough for a processor.
Resumable: runs in DIR are reused, and several of these may share the work by --only, once the first
recipe has trained teacher and baselines. --write puts what was measured into docs/methods.md and
into each recipe's header.
"""

import argparse
import os
import re
from dataclasses import dataclass
from pathlib import Path

from tables import add_json, say, show

from kdcli.commands.distill import distill_job
from kdcli.commands.evaluate import evaluate
from kdcli.core.progress import Silent
from kdcli.core.text import points, signed, span
from kdcli.plan.ask import Ask
from kdcli.recipe.load import recipe_names
from kdcli.report.schema import Report
from kdcli.training.ensure import ensure

TEACHER, STUDENT, SEEDS = "resnet34", "mobilenetv3_small_050", 3
"""One seed tells nothing on digits: the baseline's own deviation is 0.7 points."""
WITH_SECOND_HEAD = {"deit": "repvit_m0_9"}
"""Students of methods that need more than any model has."""
FIRST = ("kd", "at", "fitnet", "joint", "rkd", "fsp", "dkd", "dist", "sp", "pkt", "cc", "crd")
"""The paper's own methods come first, then those most used."""
HOUSE = Path(__file__).parent.parent
PAGE, BEGIN, END = HOUSE / "docs/methods.md", "<!-- measured -->", "<!-- end of measured -->"


@dataclass(frozen=True)
class Row:
    """One recipe's measurement."""

    recipe: str
    student: str
    report: Report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=Path, default=Path("runs/methods-pool"))
    parser.add_argument("--only", default=",".join(in_order()))
    parser.add_argument("--write", action="store_true")
    add_json(parser)
    asked = parser.parse_args()
    os.environ["KD_RUNS"] = str(asked.pool)
    rows = []
    for recipe in asked.only.split(","):
        rows.append(measured(recipe))
        say(asked, in_a_line(rows[-1]))
    show(asked, [vars(row) | {"report": row.report.model_dump()} for row in rows], [table(rows)])
    if asked.write:
        write(rows)


def in_order() -> list[str]:
    """Every recipe with something to compare."""
    compared = set(recipe_names()) - {"supervised"}
    return [*FIRST, *sorted(compared - set(FIRST))]


def measured(recipe: str) -> Row:
    """Train what is missing, then measure on test."""
    student = WITH_SECOND_HEAD.get(recipe, STUDENT)
    # every recipe as it is shipped, with published weights: nothing is tuned for the table
    job = distill_job(Ask(recipe, teachers=(TEACHER,), student=student, device="cpu"), Silent())
    trained = ensure(job.spec, job.site(Silent()), asked=True)
    found = evaluate(str(trained.run.path), seeds=SEEDS, device="cpu", progress=Silent())
    return Row(recipe, student, found.report)


def in_a_line(row: Row) -> str:
    """As it stands in the recipe's header."""
    models, found = row.report.models, row.report.comparison
    assert found is not None
    student, baseline = models["student"], models["baseline"]
    low, high = found.gain_ci95.low, found.gain_ci95.high
    return (
        f"Measured on digits, {TEACHER} -> {row.student}, {SEEDS} seeds: "
        f"{student.accuracy:.4f} (sd {student.accuracy_sd:.4f}), without a teacher "
        f"{baseline.accuracy:.4f} (sd {baseline.accuracy_sd:.4f}); gain "
        f"{points(found.gain)} (95% CI {span(low, high)}): "
        f"{found.verdict_code}."
    )


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| recipe | student | gain, points | 95% CI | verdict |", "|---|---:|---:|---|---|"]
    for row in rows:
        student, found = row.report.models["student"], row.report.comparison
        assert found is not None
        low, high = found.gain_ci95.low, found.gain_ci95.high
        lines.append(
            f"| `{row.recipe}` | {student.accuracy:.4f} (sd {student.accuracy_sd:.4f}) "
            f"| {signed(100 * found.gain)} | {span(low, high)} "
            f"| {found.verdict_code} |"
        )
    return "\n".join(lines)


def write(rows: list[Row]) -> None:
    """Into the page between its marks, and into the headers behind all that is said there."""
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{rest.split(END)[1]}", "utf-8")
    for row in rows:
        file = HOUSE / "recipes" / f"{row.recipe}.yaml"
        text = re.sub(r"# Measured on .*\n", "", file.read_text("utf-8"))
        place = text.index("scheme:")
        file.write_text(f"{text[:place]}# {in_a_line(row)}\n{text[place:]}", "utf-8")


if __name__ == "__main__":
    main()
