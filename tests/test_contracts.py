"""What every method, scheme, recipe and command has; the folders say which there are."""

import importlib
import inspect
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from house import kd
from torch import nn

from kdcli.cli import app
from kdcli.commands.schema import DOCUMENTS, REPORT
from kdcli.core import registry
from kdcli.core.records import About, Batch, Outputs
from kdcli.models.build import resolve
from kdcli.recipe.edit import dump
from kdcli.recipe.load import describe_recipe, load_recipe, recipe_folder, recipe_names
from kdcli.training.distiller import Distiller, Term

METHODS = registry.names("methods")
SCHEMES = registry.names("schemes")
RECIPES = recipe_names()

COMMANDS = (
    "train",
    "distill",
    "evaluate",
    "compare",
    "sweep",
    "export",
    "report",
    "predict",
    "doctor",
    "inspect",
    "match",
    "schema",
    "list methods",
    "list models",
    "list recipes",
    "list runs",
    "list schemes",
    "recipe show",
    "recipe check",
    "recipe schema",
)

SCHEMAS = ("schema", "recipe schema")


# Methods and schemes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name"), [*(("methods", m) for m in METHODS), *(("schemes", s) for s in SCHEMES)]
)
def test_it_has_a_test_and_a_recipe(kind: str, name: str) -> None:
    assert (Path(__file__).parent / kind / f"test_{name}.py").is_file()
    recipes = [name] if name in RECIPES else RECIPES  # casd has that of its one scheme
    assert any(name in _used(recipe) for recipe in recipes), f"README promises recipes/{name}.yaml"


def _used(recipe: str) -> set[str]:
    """The scheme and the methods that a recipe trains with."""
    chosen = load_recipe(recipe).recipe
    return {chosen.scheme.name, *(use.use or key for key, use in chosen.methods.items())}


# Methods -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_what_it_is_and_needs(name: str) -> None:
    method = registry.load("methods", name)
    named = re.search(r"arXiv:\d{4}\.\d{4,5}\b", method.__doc__)
    assert named, "its docstring names no paper by its arXiv id"
    assert registry.describe("methods", name) == method.__doc__.strip().splitlines()[0]
    assert method.default_weight > 0
    assert method.weight_source
    assert method.kind in ("response", "feature", "relation")
    assert method.needs or method.student_needs
    assert method.needs | method.student_needs <= {field.name for field in fields(Outputs)}
    for option, field in method.model_fields.items():
        assert field.description, option
        assert not field.is_required(), f"{option}: `{name}:` alone takes every default"


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_a_pure_function_of_tensors(name: str) -> None:
    module = importlib.import_module(f"kdcli.methods.{name}")
    losses = [value for key, value in vars(module).items() if key.endswith("_loss")]
    assert losses
    for loss in losses:
        assert inspect.isfunction(loss)
        assert loss.__doc__
        assert next(iter(inspect.signature(loss).parameters)).startswith("student")


@pytest.mark.parametrize("name", METHODS)
def test_a_method_teaches_the_student_only(name: str) -> None:
    student, teacher, batch = _Answers("student"), _Answers("teacher.0"), _batch()
    distiller = Distiller(
        scheme=registry.load("schemes", "offline")(),
        learners={"student": student},
        teachers={"teacher.0": teacher},
        terms=(Term(name, registry.load("methods", name)(), lambda epoch: 1.0),),
        task_weight=lambda epoch: 0.0,
        example=batch,
        about=_about(teacher, batch),
    )
    losses = distiller(batch)
    assert losses.terms[name].shape == ()
    assert losses.terms[name].dtype == torch.float32
    assert torch.isfinite(losses.total)
    losses.total.backward()
    gradients = [p.grad for p in student.parameters() if p.grad is not None]
    assert any(gradient.abs().sum() > 0 for gradient in gradients)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert all(p.grad is None for p in teacher.parameters())


@pytest.mark.parametrize("name", METHODS)
def test_a_method_changes_no_tensor_that_it_is_given(name: str) -> None:
    student, teacher, batch = _Answers("student"), _Answers("teacher.0"), _batch()
    method = registry.load("methods", name)()
    with torch.no_grad():
        mine, theirs = student(batch), teacher(batch)
        before = mine.logits.clone(), theirs.logits.clone()
        adapter = method.adapter(mine, theirs, _about(teacher, batch))
        first = method.loss(mine, theirs, batch, adapter)
        second = method.loss(mine, theirs, batch, adapter)
    assert torch.equal(first, second)
    assert torch.equal(mine.logits, before[0])
    assert torch.equal(theirs.logits, before[1])


@pytest.mark.parametrize("name", METHODS)
def test_a_method_that_sees_one_process_alone_is_a_mean_over_images(name: str) -> None:
    """The others say so (`across_images`), and are given the answers of all processes."""
    student, teacher, batch = _Answers("student").eval(), _Answers("teacher.0").eval(), _batch()
    method = registry.load("methods", name)()
    with torch.no_grad():
        mine, theirs = student(batch), teacher(batch)
        torch.manual_seed(0)
        adapter = method.adapter(mine, theirs, _about(teacher, batch))
        if adapter is not None:
            adapter.eval()
        whole = method.loss(mine, theirs, batch, adapter)
        parts = [
            method.loss(student(part), teacher(part), part, adapter) for _, part in batch.parts(2)
        ]
    apart = torch.isclose(torch.stack(parts).mean(), whole, rtol=1e-5, atol=0)
    assert bool(apart) is not method.across_images


class _Answers(nn.Module):
    """Two stages, a classifier and a second head; supplies all that a method may ask for."""

    def __init__(self, by: str) -> None:
        super().__init__()
        torch.manual_seed(len(by))
        self.by = by
        self.first = nn.Conv2d(3, 5, 3, stride=2, padding=1)
        self.first_norm = nn.BatchNorm2d(5)
        self.second = nn.Conv2d(5, 6, 3, stride=2, padding=1)
        self.second_norm = nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 4)
        self.second_head = nn.Linear(6, 4)

    def forward(self, batch: Batch) -> Outputs:
        first = self.first_norm(self.first(batch.images))
        second = self.second_norm(self.second(first.relu()))
        embedding = second.relu().mean((2, 3))
        logits = self.head(embedding)
        return Outputs(
            by=self.by,
            logits=logits,
            stages=(first.relu(), second.relu()),
            embedding=embedding,
            features=(first.relu(), second.relu()),
            preactivations=(first, second),
            heads=torch.stack([logits, self.second_head(embedding)], 1),
            attention=(first.square().mean(1).sigmoid(), second.square().mean(1).sigmoid()),
        )


def _about(teacher: _Answers, batch: Batch) -> About:
    return About(
        num_classes=4,
        num_samples=8,
        steps_per_epoch=1,
        smallest_batch=8,
        labels=batch.labels,
        classifier=teacher.head,
        norms=(teacher.first_norm, teacher.second_norm),
    )


def _batch() -> Batch:
    labels = torch.arange(8) % 4
    return Batch(
        images=torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(1)),
        labels=labels,
        targets=nn.functional.one_hot(labels, 4).float(),
        index=torch.arange(8),
        view=torch.zeros(8, dtype=torch.int64),
    )


# Schemes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_says_what_it_is_in_a_line(name: str) -> None:
    line = registry.describe("schemes", name)
    assert 20 < len(line) < 100
    assert line.endswith(".")


@pytest.mark.parametrize("name", SCHEMES)
def test_a_lesson_is_a_pure_function_of_outputs(name: str) -> None:
    scheme = registry.load("schemes", name)()
    everyone = ["student"]
    everyone += ["peer.1"] if scheme.has_peers else []
    everyone += ["teacher.0", "teachers"] if scheme.needs_teacher else []
    models = {by: _Answers(by) for by in everyone}
    answers = {by: model(_batch()) for by, model in models.items()}
    about = About(num_classes=4, num_samples=4, steps_per_epoch=1)
    outputs = scheme.step(models, scheme.parts(answers, about), _batch())
    first, second = scheme.lesson(outputs), scheme.lesson(outputs)
    assert first.learners
    assert first.learners[0].outputs is outputs["student"]
    assert [p.student.by for p in first.pairs] == [p.student.by for p in second.pairs]
    taught = scheme.needs_teacher or scheme.teaches_itself
    assert all((p.teacher is not None) == taught for p in first.pairs)


# Recipes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_loads_and_names_nobody(name: str) -> None:
    recipe = load_recipe(name).recipe
    assert recipe.who is None, "who and what belong into flags, or a user's own file"


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_it_is_for_and_how_it_is_run(name: str) -> None:
    header = _header(name)
    assert describe_recipe(name) == header[0]
    assert len(header[0]) > 20
    commands = [line for line in header if line.startswith("kd ")]
    assert commands
    for command in commands:
        _parse(command)
        for model in re.findall(r"--(?:teacher|student) (\S+)", command):
            resolve(model)  # raises for a name that timm does not know


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipes_spans_follow_the_length_of_the_training(name: str) -> None:
    values = re.findall(r"[\w.]+ ?epochs?\b", json.dumps(dump(load_recipe(name).recipe)))
    assert not [value for value in values if value[0].isdigit()], "in %, not in epochs"


def _header(name: str) -> list[str]:
    lines = (recipe_folder() / f"{name}.yaml").read_text("utf-8").splitlines()
    return [line.removeprefix("#").strip() for line in lines if line.startswith("#")]


def _parse(command: str) -> None:
    """Click's own parser raises for a flag or command that does not exist."""
    words, entry = shlex.split(command)[1:], typer.main.get_command(app)
    while hasattr(entry, "commands"):
        entry = entry.commands[words.pop(0)]
    entry.make_context("kd", words)


# Commands ----------------------------------------------------------------------------------------


def _leaves(entry: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if not hasattr(entry, "commands"):
        yield " ".join(path), entry
        return
    for name, child in entry.commands.items():
        yield from _leaves(child, (*path, name))


FOUND = dict(_leaves(typer.main.get_command(app)))


def test_these_are_the_commands() -> None:
    assert sorted(FOUND) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_explains_itself(name: str) -> None:
    answer = kd(*name.split(), "--help")
    assert answer.code == 0
    assert answer.err == ""
    words = " ".join(re.sub(r"[│╭╮╰╯─]", " ", answer.out).split())
    assert FOUND[name].help.split("\n")[0] in words


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_json_and_debug(name: str) -> None:
    options = {option for param in FOUND[name].params for option in param.opts}
    assert "--debug" in options
    assert ("--json" in options) == (name not in SCHEMAS), "a schema is JSON anyway"


def test_every_document_has_a_schema() -> None:
    assert {*DOCUMENTS, *SCHEMAS} == {*COMMANDS, REPORT}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_explains_every_flag(name: str) -> None:
    silent = [param.opts for param in FOUND[name].params if not param.help]
    assert not silent
