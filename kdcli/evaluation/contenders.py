"""Whoever is compared: what it answered to the test images, what it is, what it was made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kdcli.core.arrays import Bools
from kdcli.core.class_order import places_in
from kdcli.evaluation.answers import Logits
from kdcli.evaluation.measure import scores
from kdcli.evaluation.predictions import Tested
from kdcli.evaluation.ranking import Seeds
from kdcli.recipe.edit import dump
from kdcli.recipe.schema import Evaluate
from kdcli.report.model import ModelPart
from kdcli.report.schema import Report
from kdcli.runs.spec import Spec


@dataclass(frozen=True, eq=False)
class Contender:
    """A model, or the models that differ in their seed alone."""

    typed: tuple[str, ...]
    role: str
    name: str
    tested: Tested
    classes: tuple[str, ...]
    logits: Logits
    """(S, N, K)."""
    seeds: tuple[int, ...]
    costs: dict[str, Any]
    """params, macs."""
    file: Path | None = None
    """model.pt or ONNX file of the first seed; None: its record alone is here."""
    spec: Spec | None = None
    report: Report | None = None
    beside: Mapping[str, Logits] = field(default_factory=dict)
    """What the other roles of its report answered."""

    @property
    def right(self) -> Bools:
        """(S, N)."""
        found: Bools = self.logits.argmax(2) == self.tested.labels
        return found

    @property
    def for_ranking(self) -> Seeds:
        """What the ranking needs of it."""
        return Seeds(self.right, self.seeds)

    @property
    def settings(self) -> Evaluate:
        """Its own recipe's, else the usual."""
        return self.spec.recipe.evaluate if self.spec else Evaluate()

    @property
    def part(self) -> ModelPart:
        """Its figures, over all seeds."""
        found = scores(self.logits, self.tested.labels, self.classes, self.seeds)
        return ModelPart(name=self.name, **found, **self.costs)


def lined_up(one: Contender, classes: Sequence[str], images: Tested) -> Contender | None:
    """The same answers (its own alone) in the order of these classes and images, matched by name
    and by content; None where it was asked about other images.

    Raises:
        UnfitTeacher: its classes are others.
    """
    places = places_in(one.classes or classes, classes, one.typed[0], "compare models of these")
    logits, labels = one.logits, one.tested.labels
    if places is not None:
        logits, labels = logits[:, :, places], np.argsort(places)[labels]
    rows = images.places_in(replace(one.tested, labels=labels))
    if rows is None:
        return None
    return replace(one, logits=logits[:, rows], tested=images, classes=tuple(classes), beside={})


def together(contenders: Sequence[Contender]) -> list[Contender]:
    """Those that differ in their seed alone as one; in the order of the first of each. A second
    model of one seed that answers otherwise (of another machine, another kd) stands alone."""
    groups: dict[str, Contender] = {}
    for place, one in enumerate(contenders):
        key = one.spec.kind if one.spec else f"#{place}"
        if key in groups and not _agree(groups[key], one):
            key = f"#{place}"
        groups[key] = _joined(groups[key], one) if key in groups else one
    return list(groups.values())


def _agree(one: Contender, other: Contender) -> bool:
    """On the seeds that both have."""
    both = [(one.seeds.index(seed), i) for i, seed in enumerate(other.seeds) if seed in one.seeds]
    return all(
        (one.logits[mine].argmax(1) == other.logits[theirs].argmax(1)).all()
        for mine, theirs in both
    )


def _joined(one: Contender, other: Contender) -> Contender:
    new = [i for i, seed in enumerate(other.seeds) if seed not in one.seeds]
    if not new:
        return replace(one, typed=(*one.typed, *other.typed))
    shared = one.beside.keys() & other.beside.keys()
    return replace(
        one,
        beside={
            role: _with(one.beside[role], other.beside[role], len(other.seeds), new)
            for role in shared
        },
        typed=(*one.typed, *other.typed),
        logits=np.concatenate([one.logits, other.logits[new]]),
        seeds=(*one.seeds, *(other.seeds[i] for i in new)),
    )


def _with(mine: Logits, theirs: Logits, seeds: int, new: list[int]) -> Logits:
    """A role that has a model per seed, as a baseline has, is joined; a teacher is one for all."""
    return np.concatenate([mine, theirs[new]]) if len(theirs) == seeds else mine


def differences(contenders: Sequence[Contender]) -> list[dict[str, str]]:
    """Of each, what it was made with, of the keys in which those that have them differ; nothing of
    one of which nobody knows what it was made with."""
    made = [_made_with(one.spec) if one.spec else {} for one in contenders]
    keys = dict.fromkeys(key for one in made for key in one)
    known = [one for one in made if one]
    apart = [key for key in keys if len({one[key] for one in known if key in one}) > 1]
    return [{key: one[key] for key in apart if key in one} for one in made]


def _made_with(spec: Spec) -> dict[str, str]:
    """Who and how, by flags and by keys of the recipe."""
    teachers = ", ".join(ref.words for ref in spec.teachers)
    who = {"model": spec.model, "teacher": teachers, "data": spec.data.name, "role": spec.role}
    who["methods"] = " + ".join(spec.recipe.methods)
    recipe = dump(spec.recipe)
    recipe.pop("who", None)
    recipe.pop("evaluate", None)
    return {key: text for key, text in who.items() if text} | dict(_leaves(recipe, ""))


def _leaves(raw: Any, path: str) -> list[tuple[str, str]]:
    if not isinstance(raw, dict):
        return [(path, str(raw))]
    inner = [(f"{path}.{key}" if path else str(key), value) for key, value in raw.items()]
    return [leaf for key, value in inner for leaf in _leaves(value, key)]
