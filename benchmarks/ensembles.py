"""Ensembles and their students: how many members, which scheme, and what the student keeps.

    python benchmarks/ensembles.py digits [--pool DIR] [--only "average;compress"] [--write]
    python benchmarks/ensembles.py fashion_mnist

The student has the architecture of the members, which differ in their seeds and in which 60 to 100%
of the images they see; an ensemble of N has the first N of eight. `fashion_mnist` takes 5,000 of
the training images of the Debian package dataset-fashion-mnist, and all 10,000 test images;
"compress, further images" takes 15,000 others on top, without their labels.
With --subset 1.0 members differ in their seeds alone. Resumable: runs in DIR are reused, and
several of these may share the work by --only, once one has trained members and baselines (--only
average --members 8). --write puts the tables into docs/evidence.md.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fashion_mnist import further_fashion, some_fashion
from study import IMAGES, TRAINING, label_recipe
from tables import add_json, say, show

from kdcli.commands.distill import distill_job
from kdcli.commands.evaluate import evaluate
from kdcli.commands.train import train_job
from kdcli.core.progress import Silent
from kdcli.plan.ask import Ask
from kdcli.report.model import ModelPart
from kdcli.report.schema import Report
from kdcli.training.ensure import ensure

MODEL, SEEDS, MEMBERS = "test_resnet", 3, (1, 2, 3, 5, 8)
"""Of members and student alike (374 k parameters): what the student gains is no larger model's."""
SCHEMES = ("average", "mimic_all", "compress")
FURTHER = "compress, further images"
CONTROL = "joint_ensemble"
"""Allen-Zhu and Li's (arXiv:2012.09816): averaged from the first step; of three members alone."""
UNLABELLED = 15_000
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Row:
    """An ensemble of so many members, and one scheme's student of it."""

    scheme: str
    members: int
    report: Report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=TRAINING)
    parser.add_argument("--pool", type=Path, default=Path("runs/ensembles-pool"))
    parser.add_argument("--only", default=";".join((*SCHEMES, FURTHER, CONTROL)))
    parser.add_argument("--members", default=",".join(map(str, MEMBERS)))
    parser.add_argument("--subset", default="[0.6, 1.0]", help="What each member sees.")
    parser.add_argument("--write", action="store_true")
    add_json(parser)
    asked = parser.parse_args()
    os.environ["KD_RUNS"] = str(asked.pool)
    rows = []
    for scheme in asked.only.split(";"):
        if scheme == FURTHER and asked.data == "digits":
            continue  # scikit-learn has no more of them
        counts = [3] if scheme == CONTROL else map(int, asked.members.split(","))
        for members in counts:
            rows.append(Row(scheme, members, measured(asked, scheme, members)))
            say(asked, in_a_line(rows[-1]))
    show(asked, [vars(row) | {"report": row.report.model_dump()} for row in rows], tables(rows))
    if asked.write:
        write(asked.data if asked.subset != "1.0" else f"{asked.data}, all images", rows)


def measured(asked: argparse.Namespace, scheme: str, members: int) -> Report:
    """Train what is missing, then measure on test."""
    data, pool = asked.data, asked.pool
    place = None if data == "digits" else str(some_fashion(pool, IMAGES))
    if scheme == CONTROL:
        settings = (*TRAINING[data], f"scheme.members={members}")
        job = train_job(
            Ask(CONTROL, model=MODEL, settings=settings, data=place, device="cpu"), Silent()
        )
    else:
        job = distill_job(
            Ask(
                scheme.partition(",")[0],
                teachers=(MODEL,),
                student=MODEL,
                settings=(*TRAINING[data], *members_of(asked, members), *further(scheme, pool)),
                data=place,
                device="cpu",
            ),
            Silent(),
        )
    trained = ensure(job.spec, job.site(Silent()), asked=True)
    return evaluate(str(trained.run.path), seeds=SEEDS, device="cpu", progress=Silent()).report


def members_of(asked: argparse.Namespace, members: int) -> tuple[str, ...]:
    """How the teachers are made: as the student is trained, from labels, on a share of the data."""
    recipe = label_recipe(asked.pool, asked.data, TRAINING[asked.data])
    return f"teacher.recipe={recipe}", f"teacher.seeds={members}", f"teacher.subset={asked.subset}"


def further(scheme: str, pool: Path) -> tuple[str, ...]:
    """Images that nobody has labelled, as PNG files."""
    if scheme != FURTHER:
        return ()
    return (f"data.unlabelled={further_fashion(pool, IMAGES, UNLABELLED)}",)


# What is shown -----------------------------------------------------------------------------------


def in_a_line(row: Row) -> str:
    """One of them, as soon as it is there."""
    student = row.report.models["student"]
    return f"{row.scheme} of {row.members}: {accuracy(student)}"


def accuracy(part: ModelPart) -> str:
    """In percent, with its spread over seeds."""
    spread = f" ± {100 * part.accuracy_sd:.1f}" if part.accuracy_sd is not None else ""
    return f"{100 * (part.accuracy or 0):.1f}{spread}"


def tables(rows: list[Row]) -> Iterator[str]:
    """Markdown: accuracies, then whom the students take after, and what they cost."""
    found = {(row.scheme, row.members): row.report for row in rows}
    alone = [r.models["baseline"] for r in found.values() if "baseline" in r.models]
    if alone:
        yield f"- Baseline, the same network without a teacher: {accuracy(alone[0])}."
    if control := found.get((CONTROL, 3)):
        together = control.models["student"]
        yield f"- Three networks averaged while they were trained: {accuracy(together)}."
    shown = [s for s in (*SCHEMES, FURTHER) if any(row.scheme == s for row in rows)]
    students = " | ".join(shown)
    yield from ("", f"| members | a member | best member | ensemble | {students} |")
    yield "|---:|---:|---:|---:|" + "---:|" * len(shown)
    for members in MEMBERS:
        reports = [found[s, members] for s in shown if (s, members) in found]
        if reports:
            cells = [*_teachers(reports[0]), *(_student(found, s, members) for s in shown)]
            yield f"| {members} | {' | '.join(cells)} |"
    yield from ("", "| student of | KL to ensemble | to a member | nearer | accuracy nearer |")
    yield "|---|---:|---:|---|---|"
    for row in rows:
        yield from _nearness(row)


def _teachers(report: Report) -> list[str]:
    """A member on average with its spread, the best on validation, all of them. Chosen on test the
    best would be flattered."""
    best = report.models["teacher"]
    each = [part.accuracy for part in report.teachers or ()] or [best.accuracy or 0]
    spread = f" ± {100 * np.std(each, ddof=1):.1f}" if len(each) > 1 else ""
    together = report.models.get("ensemble", best)
    return [f"{100 * np.mean(each):.1f}{spread}", accuracy(best), accuracy(together)]


def _student(found: dict[tuple[str, int], Report], scheme: str, members: int) -> str:
    report = found.get((scheme, members))
    return accuracy(report.models["student"]) if report else "-"


def _nearness(row: Row) -> Iterator[str]:
    """By KL and by accuracy; of one teacher there is nothing to say: it is the ensemble."""
    if row.report.comparison and (c := row.report.comparison.ensemble):
        yield (
            f"| {row.scheme}, {row.members} | {c.kl_to_ensemble:.3f} | {c.kl_to_members:.3f} "
            f"| {c.closer_to.kl} | {c.closer_to.accuracy} |"
        )


def write(data: str, rows: list[Row]) -> None:
    """Into the page, between the marks of these data; what it says around them stays a person's."""
    page = HERE.parent / "docs/evidence.md"
    begin, end = f"<!-- measured: {data} -->\n", "<!-- end of measured -->"
    before, _, rest = page.read_text("utf-8").partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(before + begin + "\n".join(tables(rows)) + f"\n{end}{after}", "utf-8")


if __name__ == "__main__":
    main()
