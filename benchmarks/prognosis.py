"""How often a prognosis is right: that of `kd doctor DATA --teacher T --student S`, afterwards.

    python benchmarks/prognosis.py [--studies few_labels,noise] [--pool runs/evidence-pool]

Of each arm of `evidence.py`, at the longest it was measured, the prognosis is made as a person
would have it beforehand: with an empty folder of runs, from short trainings alone; a teacher that
was finished is given. It is right where it says `yes` of what `helped`, and `no` of what did not;
`open` is never right. Undecided arms are left out. Arms with the same baseline and
teachers have the same prognosis. Resumable: what was foretold lies in POOL/prognoses.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from evidence import Row, first_run, key_of, rows_of
from evidence_arms import STUDIES, Arm, arms_of
from tables import add_json, say, show

from kdcli.commands.distill import distill_job
from kdcli.core.files import write_text
from kdcli.core.progress import Silent
from kdcli.core.text import signed
from kdcli.plan.ask import Ask
from kdcli.plan.signs import from_trials
from kdcli.runs.baseline import baseline_of


@dataclass(frozen=True)
class Said:
    """A prognosis."""

    pays: str
    lead: float
    expected_gain: float
    seconds: float


@dataclass(frozen=True)
class Foretold:
    """What was said of an arm, and what came of it."""

    study: str
    where: str
    arm: str
    gain: float
    verdict_code: str
    said: Said

    @property
    def right(self) -> bool:
        return self.said.pays == ("yes" if self.verdict_code == "helped" else "no")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", default=",".join(STUDIES))
    parser.add_argument("--pool", type=Path, default=Path("runs/evidence-pool"))
    add_json(parser)
    asked = parser.parse_args()
    found, seen = [], set[str]()
    for study in asked.studies.split(","):
        rows = sorted(rows_of(study, asked.pool), key=lambda row: row.length)
        longest = {key_of(row): row for row in rows}
        for arm in arms_of(study, asked.pool, asked.pool / "assets"):
            row = longest.get((arm.where, arm.arm))
            decided = row and row.length == arm.length and row.verdict_code != "undecided"
            if row and decided and row.run not in seen:  # studies share runs
                seen.add(row.run)
                found.append(foretold(arm, row, asked.pool))
                say(asked, line(found[-1]))
    show(asked, [asdict(one) for one in found], summary(found))


def foretold(arm: Arm, row: Row, pool: Path) -> Foretold:
    """Made, or read where it was made before."""
    os.environ["KD_RUNS"] = str(pool)
    ask = replace(arm.ask, device="cpu")
    if arm.first:
        ask = replace(ask, teachers=(str(first_run(arm.first).path),))
    job = distill_job(ask, Silent())
    teachers = "-".join(member.identity[:8] for member in job.spec.members)
    file = pool / "prognoses" / f"{baseline_of(job.spec).digest[:8]}-{teachers}.json"
    if not file.is_file():
        file.parent.mkdir(exist_ok=True)
        write_text(file, json.dumps(asdict(said_beforehand(ask)), indent=1) + "\n")
    return Foretold(
        study=arm.study,
        where=arm.where,
        arm=arm.arm,
        gain=row.gain,
        verdict_code=row.verdict_code,
        said=Said(**json.loads(file.read_text("utf-8"))),
    )


def said_beforehand(ask: Ask) -> Said:
    """With no runs but a finished teacher's."""
    with tempfile.TemporaryDirectory() as empty:
        os.environ["KD_RUNS"] = empty
        found = from_trials(distill_job(ask, Silent()), Silent())
    prognosis = found.prognosis
    return Said(
        pays=prognosis.pays,
        lead=prognosis.signs.lead or 0.0,
        expected_gain=prognosis.expected_gain or 0.0,
        seconds=found.seconds,
    )


def line(one: Foretold) -> str:
    """One of them."""
    said = one.said
    return (
        f"{one.study}, {one.where}, {one.arm}: {said.pays} (lead {signed(100 * said.lead)}, "
        f"expected {signed(100 * said.expected_gain)}), came to {signed(100 * one.gain)} "
        f"{one.verdict_code}: {'right' if one.right else 'wrong'} [{said.seconds:.0f} s]"
    )


def summary(found: list[Foretold]) -> Iterator[str]:
    """How many of each kind were right."""
    for kind, helped in (("that helped", True), ("that did not", False)):
        of_it = [one for one in found if (one.verdict_code == "helped") == helped]
        yield f"of {len(of_it)} {kind}: {sum(one.right for one in of_it)} right"


if __name__ == "__main__":
    main()
