"""Every scheme with every method: it trains, or it is refused in words before the first step."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from docs.generate import BEGIN, END, methods_page, renewed, table
from kdcli.commands.list import methods
from kdcli.core import registry
from kdcli.core.method import Method
from kdcli.core.scheme import Scheme
from kdcli.models.teachers import Frozen
from kdcli.training.compatibility import Trial, example, grid, trial
from kdcli.training.distiller import Distiller
from kdcli.training.needs import missing

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"
METHODS, SCHEMES = registry.names("methods"), registry.names("schemes")

PARTS = {"fusion": "fused"}
"""Parts that do not answer under their own names."""


@pytest.fixture(scope="module", autouse=True)
def wrong() -> dict[str, str]:
    """Every third cell takes a step, if it trains, as soon as it is joined; what goes wrong there:
    all schemes and all methods are among them."""
    return _wrong(every=3)


@pytest.mark.slow
def test_whatever_trains_takes_a_step() -> None:
    assert not _wrong(every=1)


def _wrong(every: int) -> dict[str, str]:
    found, join = {}, Trial.joined

    def joined_and_stepped(tried: Trial) -> Distiller:
        scheme, method = _name(tried.scheme), _name(tried.method)
        if (SCHEMES.index(scheme) + METHODS.index(method)) % every:
            return join(tried)
        before = _state(_learners(tried)), _state(_teachers(tried))
        distiller = join(tried)
        try:
            _one_step(tried, distiller, *before)
        except AssertionError as error:
            found[f"{scheme} with {method}"] = str(error)
        return distiller

    grid.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trial, "joined", joined_and_stepped)
        grid()
    return found


def _name(part: Scheme | Method) -> str:
    return type(part).__module__.rpartition(".")[2]


def _one_step(
    tried: Trial, distiller: Distiller, learners: Mapping[str, Tensor], teachers: Mapping[str, Any]
) -> None:
    """Everybody who learns is taught, nobody else is moved."""
    method = _name(tried.method)
    assert _same(_state(_learners(tried)), learners), "the probe moves nobody"
    losses = distiller(replace(example(), epoch=5.0, progress=0.5))
    assert losses.terms.keys() == {"task", method}
    assert all(torch.isfinite(loss) for loss in losses.terms.values())
    idle = _untaught(losses.terms[method], _imitators(distiller, tried))
    assert not idle, "the term does not reach them"
    losses.total.backward()
    assert not _idle(distiller)
    assert all(p.grad is None for p in _teachers(tried).parameters())
    assert _same(_state(_teachers(tried)), teachers)


def _training(scheme: str) -> set[str]:
    return {cell.method for cell in grid() if cell.trains and cell.scheme == scheme}


def test_every_method_trains_somewhere_and_every_scheme_trains_one() -> None:
    """Cell by cell it is written down in docs/methods.md, and held to it by its own test."""
    assert [(cell.scheme, cell.method) for cell in grid()] == list(product(SCHEMES, METHODS))
    assert set().union(*map(_training, SCHEMES)) == set(METHODS)
    assert all(map(_training, SCHEMES))


def test_a_finished_teacher_gives_all_that_a_method_may_read_but_attention() -> None:
    """Schemes alone make attention."""
    methods = {name: registry.load("methods", name) for name in METHODS}
    assert _training("offline") == {
        name for name, m in methods.items() if "attention" not in m.needs | m.student_needs
    }


def test_where_nobody_teaches_only_teacher_free_methods_train() -> None:
    free = {name for name in METHODS if not registry.load("methods", name).needs_teacher}
    schemes = {name: registry.load("schemes", name) for name in SCHEMES}
    alone = [name for name, s in schemes.items() if not (s.needs_teacher or s.teaches_itself)]
    assert {name: _training(name) for name in alone} == dict.fromkeys(alone, free)


def test_of_what_trains_a_third_takes_a_step(wrong: dict[str, str]) -> None:
    assert not wrong


def test_what_does_not_train_is_refused_in_words(wrong: dict[str, str]) -> None:
    refused = [cell for cell in grid() if not cell.trains]
    assert [c for c in refused if len(c.why.split()) <= 4 or len(c.fix.split()) <= 2] == []


def test_the_table_gives_every_reason_once() -> None:
    lines = list(table(METHODS, SCHEMES))
    rows, reasons = lines[2 : 2 + len(METHODS)], lines[3 + len(METHODS) :]
    assert sum(row.count("| yes") for row in rows) == sum(cell.trains for cell in grid())
    assert sum(row.count("| - (") for row in rows) == sum(not cell.trains for cell in grid())
    said = [reason.partition(". ")[2] for reason in reasons]
    assert len(set(said)) == len(said)
    assert all(any(f"({number})" in row for row in rows) for number in range(1, len(said) + 1))


def _learners(tried: Trial) -> nn.ModuleList:
    return nn.ModuleList(tried.learners.values())


def _teachers(tried: Trial) -> nn.ModuleList:
    """Those that are still there."""
    return nn.ModuleList(t.tap for t in tried.teachers.values() if isinstance(t, Frozen))


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def _imitators(distiller: Distiller, tried: Trial) -> dict[str, nn.Module]:
    """Learners and parts that answer on the student's side of a pair that the method scores."""
    with torch.no_grad():
        pairs = distiller._lesson(example()).pairs
    answering = {
        pair.student.by.partition("@")[0] for pair in pairs if not missing(tried.method, pair)
    }
    parts = {PARTS.get(name, name.replace("_", ".")): one for name, one in distiller.parts.items()}
    everyone = {**tried.learners, **parts}
    return {name: everyone[name] for name in sorted(answering)}


def _untaught(loss: Tensor, imitators: Mapping[str, nn.Module]) -> list[str]:
    """Those whom the method's own term does not reach."""
    weights = {name: list(module.parameters()) for name, module in imitators.items()}
    every = [w for group in weights.values() for w in group]
    found = torch.autograd.grad(loss, every, retain_graph=True, allow_unused=True)
    moved = iter([gradient is not None and bool(gradient.any()) for gradient in found])
    return [name for name, group in weights.items() if not any([next(moved) for _ in group])]


@pytest.mark.parametrize(
    ("scheme", "names"),
    [
        ("mutual", ["peer.1", "student"]),
        ("fusion", ["fused", "peer.1", "student"]),
        ("exits", ["exit.1", "exit.2", "exit.3"]),
        ("attention_self", ["student"]),
        ("mimic_all", ["student"]),
    ],
)
def test_who_imitates(scheme: str, names: list[str]) -> None:
    tried = trial(scheme, "kd")
    assert list(_imitators(tried.joined(), tried)) == names


def _idle(distiller: Distiller) -> list[str]:
    """Learners, parts and adapters with weights, none of which has a gradient."""
    groups = (distiller.learners, distiller.parts, distiller.adapters)
    members = {name: module for group in groups for name, module in group.items()}
    return [
        name
        for name, module in members.items()
        if (weights := list(module.parameters()))
        and not any(
            w.grad is not None and w.grad.isfinite().all() and w.grad.any() for w in weights
        )
    ]


# docs/methods.md, whose table this is -------------------------------------------------------------


def test_the_page_is_in_step_with_the_docstrings(wrong: dict[str, str]) -> None:
    page = PAGE.read_text("utf-8")
    assert renewed(page, methods_page()) == page, "run: make docs"


def test_what_is_written_by_hand_survives() -> None:
    page = f"# By hand\n\n{BEGIN}\nstale\n{END}\nBy hand, too.\n"
    new = renewed(page, methods_page())
    assert new.startswith(f"# By hand\n\n{BEGIN}\n| method |")
    assert new.endswith(f"```\n\n{END}\nBy hand, too.\n")
    assert "stale" not in new
    assert renewed(new, methods_page()) == new


def test_the_page_has_every_method_option_and_formula() -> None:
    _, *sections = methods_page().split("\n### ")
    for part, section in zip(methods(), sections, strict=True):
        assert section.startswith(f"{part.name}\n")
        assert "_loss(student" in section
        assert all(f"| `{option.name}` |" in section for option in part.options)
