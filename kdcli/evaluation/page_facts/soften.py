"""Soft targets of a few test images at several temperatures."""

from collections.abc import Sequence

import numpy as np

from kdcli.core.arrays import Indices
from kdcli.evaluation.answers import Logits
from kdcli.evaluation.page_facts.condensed import Condensed, telling
from kdcli.evaluation.temperature import TEMPERATURES, TOP, recipe_temperature, soften, top
from kdcli.recipe.edit import dump
from kdcli.recipe.schema import Recipe
from kdcli.report.page.facts import Softened, SoftTargets


def soft_targets(
    who: str,
    logits: Logits,
    found: Condensed,
    labels: Indices,
    classes: Sequence[str],
    recipe: Recipe,
) -> tuple[SoftTargets, list[int]]:
    """Of a role's (S, N, K) logits the first seed's; and which images they are of, whose pictures
    are still to be drawn."""
    chosen = telling(found, labels)
    own = _taught_at(recipe)
    temperatures = tuple(sorted({*TEMPERATURES, *([own] if own else [])}))
    images = [i for i, _ in chosen]
    rows = logits[0, images]
    order = top(rows.astype(np.float64), TOP)
    softened = [soften(rows, t) for t in temperatures]
    shown = tuple(
        Softened(
            picture=None,
            label=classes[labels[image]],
            why=why,
            classes=tuple(classes[c] for c in order[row]),
            shares=tuple(tuple(float(one[row, c]) for c in order[row]) for one in softened),
        )
        for row, (image, why) in enumerate(chosen)
    )
    return SoftTargets(who, temperatures, own, shown), images


def _taught_at(recipe: Recipe) -> float | None:
    """The first temperature of the recipe's methods, if any has one."""
    raw = dump(recipe)
    uses = [use for use in (raw.get("methods") or {}).values() if isinstance(use, dict)]
    return recipe_temperature(raw) if any("temperature" in use for use in uses) else None
