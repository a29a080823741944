"""Two untrained teachers of the pictures, and students of theirs."""

from pathlib import Path
from typing import Any

import torch
from house import STUDENT, TEACHER

from kdcli.core.progress import Silent
from kdcli.data.source import Source
from kdcli.models.build import build, plan, seeded
from kdcli.models.checkpoint import ModelFile, save_model
from kdcli.plan.job import Shared
from kdcli.plan.lineage import Roles, distill_spec
from kdcli.plan.names import Start
from kdcli.recipe.load import load_recipe
from kdcli.runs.spec import DataRef, Spec
from kdcli.training.answers.decide import Way, decide
from kdcli.training.site import Site

CPU = torch.device("cpu")
Opened = tuple[Source, DataRef]


def untrained(source: Opened, folder: Path, model: str = TEACHER) -> list[Path]:
    """Their files; no two are alike."""
    args = plan(model, 3, 32, None)
    for i in range(2):
        with seeded(i, "teacher"):
            module = build(args)
        file = ModelFile(args.as_dict(), module.state_dict(), source[0].classes, recipe={})
        save_model(file, folder / f"{i}.pt")
    return sorted(folder.glob("*.pt"))


def spec_of(
    source: Opened, files: list[Path], *settings: str, recipe: str = "kd", seed: int = 0
) -> Spec:
    """A student's, of three epochs."""
    always = ("teacher.allow_weak=true", "train.epochs=3", "teacher.precision=fp32")
    loaded = load_recipe(recipe, (*always, "train.batch_size=32", *settings))
    data, ref = source
    roles = Roles(tuple(str(file) for file in files), Start(STUDENT))
    return distill_spec(roles, Shared(loaded, data, ref, CPU), seed)


def decided(
    source: Opened, files: list[Path], *settings: str, students: int = 1, **options: Any
) -> Way:
    """How its teachers are asked."""
    spec = spec_of(source, files, *settings, **options)
    return decide(spec, Site(source[0], CPU, Silent(), students=students), files)
