"""When heads are folded: what was asked for, whether it is exact, and whether it was measured."""

import numpy as np
import pytest
import torch

from kdcli.core.errors import UnmetNeeds
from kdcli.core.progress import Silent
from kdcli.deploy import folding
from kdcli.deploy.folding import choose
from kdcli.models.build import build, seeded
from kdcli.models.checkpoint import ModelFile
from kdcli.models.loading import Loaded
from kdcli.models.model_args import ModelArgs

IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def student(**more):
    args = ModelArgs("test_resnet", 5, 32, **more)
    with seeded(0, "test"):
        return Loaded(build(args).eval(), args, ModelFile({}, {}, tuple("abcde"), {}))


class Labelled:
    """1,000 labels."""

    labels = np.zeros(1000, np.int64)


def measured(monkeypatch, wrong):
    """Validation, on which the folded model is wrong so many times more often than all heads."""

    def logits(model, store):
        answers = np.tile([1.0, 0.0, 0.0, 0.0, 0.0], (1000, 1)).astype(np.float32)
        if model.args.heads == 1:
            answers[:wrong, 0] = -1
        return answers

    monkeypatch.setattr(folding, "_logits", logits)
    return Labelled


@pytest.mark.parametrize(
    ("wanted", "aggregate", "folded", "reason"),
    [
        ("never", "logits", 0, "as asked"),
        ("exact", "probabilities", 0, "a mean of probabilities does not fold exactly"),
        ("exact", "logits", 1, "a mean of logits folds exactly"),
        ("auto", "logits", 1, "a mean of logits folds exactly"),
        ("auto", "probabilities", 0, "no labelled images are at hand to measure folding on"),
    ],
)
def test_without_labelled_images(wanted, aggregate, folded, reason):
    given = student(heads=3, aggregate=aggregate)
    found, part = choose(given, wanted, IMAGES, None, Silent())
    assert (part.wanted, part.heads, part.folded, part.reason) == (wanted, 3, folded, reason)
    assert found.args == (given.args.single if folded else given.args)
    assert part.drop is part.kl is None


@pytest.mark.parametrize(("wrong", "folded"), [(0, 1), (1, 1), (2, 0)])
def test_a_point_in_a_thousand_may_be_lost(monkeypatch, wrong, folded):
    given = student(heads=3)
    found, part = choose(given, "auto", IMAGES, measured(monkeypatch, wrong), Silent())
    assert part.folded == folded
    assert part.drop == pytest.approx(wrong / 1000)
    assert part.agreement == pytest.approx(1 - wrong / 1000)
    assert found.args.heads == (1 if folded else 3)
    lost = "more than 0.1 points lost on 1,000 validation images"
    changed = f"{wrong} answer{'s' * (wrong != 1)} changed"
    assert part.reason == f"{'no ' * folded}{lost}, {changed}"


def test_what_does_not_fold_is_kept_and_said(monkeypatch):
    def refuse(*_):
        raise UnmetNeeds("its heads do not fold")

    monkeypatch.setattr(folding, "fold", refuse)
    given = student(heads=2, aggregate="logits")
    found, part = choose(given, "auto", IMAGES, None, Silent())
    assert found is given
    assert (part.folded, part.reason) == (0, "its heads do not fold")


@pytest.mark.parametrize(("wanted", "said"), [("auto", 0), ("exact", 1), ("never", 1)])
def test_one_head_is_nothing_to_fold(monkeypatch, wanted, said):
    progress, lines, given = Silent(), [], student()
    monkeypatch.setattr(progress, "say", lines.append)
    assert choose(given, wanted, IMAGES, None, progress) == (given, None)
    assert len(lines) == said
