"""Does `kd evaluate` keep its word? How often its verdict is wrong, and how often it sees a gain.

    python benchmarks/verdict.py [--pool DIR] [--json]

A pool of 60 label-only runs of a tiny model on the built-in digits; nothing but the seed differs.
A/A: 40 times, five of them against five others. Any `helped` or `hurt` is false; at most 4 may be.
Planted: the same with the baselines made 3 points worse (images picked at random, per seed, that
were right become wrong); at least 32 of 40 must be `helped`. Resumable: runs in DIR are reused.
"""

import argparse
import os
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tables import add_json, say, show

from kdcli.core.progress import Silent
from kdcli.data.store import plain_store
from kdcli.evaluation.measure import measure
from kdcli.evaluation.significance import paired_gain, verdict_code
from kdcli.plan.data import open_data
from kdcli.plan.job import Shared, train_spec
from kdcli.recipe.load import load_recipe
from kdcli.runs.spec import with_seed
from kdcli.training.devices import open_device
from kdcli.training.ensure import ensure
from kdcli.training.site import Site

MODEL, EPOCHS, POOL, PAIRS, SEEDS = "test_efficientnet", 20, 60, 40, 5
PLANTED, MARGIN = 0.03, 0.01
FALSE_AT_MOST, SEEN_AT_LEAST = 4, 32
"""Of PAIRS. A test that is wrong once in twenty is wrong more than 4 times of 40 with a chance of
4.8%; 32 are a power of 80%. Resampling images alone, without seeds, 8 to 25% of such verdicts were
false. Intervals and power on made-up answers: tests/evaluation/test_intervals.py."""

Right = NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=Path, default=Path("runs/verdict-pool"))
    add_json(parser)
    asked = parser.parse_args()
    os.environ["KD_RUNS"] = str(asked.pool)
    right = pool(asked)
    accuracies = right.mean(1)
    rng = np.random.default_rng(0)
    same = Counter(verdict(*draw(right, rng)) for _ in range(PAIRS))
    false = same["helped"] + same["hurt"]
    ahead = Counter(verdict(*planted(*draw(right, rng), rng)) for _ in range(PAIRS))
    mean, sd = float(accuracies.mean()), float(accuracies.std(ddof=1))
    show(
        asked,
        {"runs": POOL, "accuracy": mean, "sd": sd, "same": same, "planted": ahead},
        [
            f"{POOL} runs of {MODEL}: {mean:.4f}, sd {sd:.4f}",
            f"A/A:      {dict(same)}: {false} false of {PAIRS} (at most {FALSE_AT_MOST})",
            f"+3 points: {dict(ahead)}: {ahead['helped']} seen (at least {SEEN_AT_LEAST})",
        ],
    )
    if false > FALSE_AT_MOST or ahead["helped"] < SEEN_AT_LEAST:
        raise SystemExit("the verdict does not keep its word")


def pool(asked: argparse.Namespace) -> Right:
    """(POOL, N) which test images each run got right."""
    device = open_device("cpu")
    source, data = open_data("digits", Silent())
    loaded = load_recipe("supervised", (f"train.epochs={EPOCHS}",))
    first = train_spec(MODEL, Shared(loaded, source, data, device))
    test = plain_store(source.test, first.recipe, Silent())
    rows = []
    for seed in range(POOL):
        run = ensure(with_seed(first, seed), Site(source, device, Silent())).run
        rows.append(measure([run.model], test, device).right(test.labels)[0])
        say(asked, f"\r{seed + 1}/{POOL} runs", end="")
    say(asked, "")
    return np.stack(rows)


def draw(right: Right, rng: np.random.Generator) -> tuple[Right, Right]:
    """Five runs and five others, none in both: the truth is that nothing differs."""
    chosen = rng.permutation(len(right))[: 2 * SEEDS]
    return right[chosen[:SEEDS]], right[chosen[SEEDS:]]


def planted(student: Right, baseline: Right, rng: np.random.Generator) -> tuple[Right, Right]:
    """The baseline made PLANTED worse in each seed."""
    worse = baseline.copy()
    for row in worse:
        rights = np.flatnonzero(row)
        row[rng.choice(rights, round(PLANTED * len(row)), replace=False)] = False
    return student, worse


def verdict(student: Right, baseline: Right) -> str:
    return verdict_code(paired_gain(student, baseline), MARGIN)


if __name__ == "__main__":
    main()
