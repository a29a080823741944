"""Each term's share of the gradient: right, rare, harmless, and what it says of weights."""

from itertools import pairwise

import pytest
import torch
from house import SMALL_TEACHER, House, kd_ok, on_pictures
from tiny_job import STEPS, Job, equal, train, without_seconds
from torch import nn

from kdcli.core.progress import Silent
from kdcli.methods.kd import KD
from kdcli.models.build import build
from kdcli.models.model_args import ModelArgs
from kdcli.recipe.weight import Ramp, weight_at
from kdcli.runs.run import Run
from kdcli.training.distiller import Term
from kdcli.training.gradient_shares import Shares, odd
from kdcli.training.losses import Losses, shares


class Adapted(KD):
    """With a module of its own that the loss pulls at far harder than at the student."""

    def adapter(self, student, teacher, about):
        return nn.Linear(student.logits.shape[1], 2)

    def loss(self, student, teacher, batch, adapter):
        return (
            super().loss(student, teacher, batch, None)
            + 1e4 * adapter(student.logits.detach()).square().mean()
        )


class Deaf(KD):
    """Scores the teacher alone: nothing that learns has a part in it."""

    def loss(self, student, teacher, batch, adapter):
        return teacher.logits.square().mean()


def constant(value):
    return lambda epoch: value


def ramp(first, last, over, start="0%", epochs=3):
    values = {"from": first, "to": last, "over": over, "start": start}
    return lambda epoch: weight_at(Ramp.model_validate(values), epoch, epochs)


class Heard(Silent):
    """Keeps what should not be missed."""

    def __init__(self):
        super().__init__()
        self.warnings, self.notes = [], []

    def warn(self, text):
        self.warnings.append(text)

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def job(tmp_path):
    """A tiny training in a folder of its own, of these terms."""
    made = []

    def make(*terms, task=1.0, settings=None, **options):
        made.append(tmp_path / f"run{len(made)}")
        folder = options.pop("folder", made[-1])
        terms = terms or (Term("kd", KD(), constant(1.0)),)
        task = task if callable(task) else constant(task)
        return Job(folder, settings, terms=terms, task=task, progress=Heard(), **options)

    return make


def gradient_norm(made, loss):
    parameters = list(made.student.parameters())
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return float(torch.cat([g.flatten() for g in found if g is not None]).norm())


# What is measured --------------------------------------------------------------------------------


def test_the_norm_is_that_of_the_weighted_term_over_the_learners_alone(job):
    made = job(Term("kd", Adapted(), constant(0.3)), task=0.2)
    losses = made.distiller(next(made.batches(epoch=0)))
    found = Shares(made.distiller, 1)
    found.measure(0, losses)
    line = found.close()
    expected = {
        "task": 0.2 * gradient_norm(made, losses.terms["task"]),
        "kd": 0.3 * gradient_norm(made, losses.terms["kd"]),
    }
    assert found.norms == pytest.approx(expected, rel=1e-5)
    assert line["share_of_gradient"] == pytest.approx(shares(expected), rel=1e-5)
    losses.total.backward()  # the graph is still there
    adapter = made.distiller.adapters["kd:0"].weight.grad.norm()
    assert adapter > 10 * max(expected.values()), "it would have drowned the rest"


def test_an_epoch_adds_up_its_measurements_and_the_next_begins_anew(job):
    made = job()
    found = Shares(made.distiller, 1)
    norms = []
    for batch in made.batches(epoch=0):
        losses = made.distiller(batch)
        norms.append(gradient_norm(made, losses.terms["kd"]))
        found.measure(0, losses)
    found.close()
    assert found.norms["kd"] == pytest.approx(sum(norms), rel=1e-5)
    assert found.close() == {}


@pytest.mark.parametrize("steps", [1, 2, 4, 49, 50, 51, 76, 99, 120, 1000])
def test_at_least_once_an_epoch_and_at_most_every_fifty_steps(job, monkeypatch, steps):
    measured = []
    monkeypatch.setattr(Shares, "_norm", lambda self, loss: measured.append(step) or loss)
    one = torch.ones(())
    losses = Losses(one, {"task": one, "kd": one}, {"task": 1.0, "kd": 1.0}, one)
    found = Shares(job().distiller, steps)
    for step in range(3 * steps):
        found.measure(step, losses)
    at = sorted(set(measured))
    epochs = [step // steps for step in at]
    assert set(epochs) == {0, 1, 2}
    assert len(at) == 3 * max(1, steps // 50)
    assert all(b - a >= min(50, steps) for a, b in pairwise(at))


def test_alone_a_term_has_no_share(job):
    lines = job(task=0.0).fit().run.lines()
    assert all("share_of_gradient" not in line for line in lines)
    assert [line["weights"] for line in lines] == [{"task": 0.0, "kd": 1.0}] * 3


def test_a_term_whose_weight_is_zero_takes_no_part(job):
    late = job(Term("kd", KD(), ramp(0.0, 1.0, "0%", start="34%"))).fit()
    first, second, third = late.run.lines()
    assert "share_of_gradient" not in first
    assert second["share_of_gradient"].keys() == third["share_of_gradient"].keys()
    assert late.progress.warnings == []


def test_shares_are_of_sizes_whatever_their_sign():
    assert shares({"task": 3.0, "vid": -1.0}) == {"task": 0.75, "vid": 0.25}
    for nothing in ({}, {"a": 0.0, "b": 0.0}, {"a": float("nan")}, {"a": float("inf"), "b": 1.0}):
        assert shares(nothing) == {}


# It changes nothing ------------------------------------------------------------------------------


def real():
    return build(ModelArgs("test_efficientnet", 3, 32))


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, {}),
        ({"accumulate": 2, "optimizer": "sgd"}, {}),
        ({"ema": 0.9, "clip": None}, {}),
        ({"epochs": 1}, {"module": real, "size": 32}),
    ],
    ids=["plain", "parts", "average", "timm"],
)
def test_the_weights_are_bit_identical_without_it(job, monkeypatch, settings, options):
    terms = (Term("kd", KD(), constant(0.5)), Term("learnt", Adapted(), constant(0.5)))
    measured = job(*terms, settings=train(**settings), **options).fit()
    assert all("share_of_gradient" in line for line in measured.run.lines())
    monkeypatch.setattr(Shares, "measure", lambda self, step, losses: None)
    plain = job(*terms, settings=train(**settings), **options).fit()
    assert all("share_of_gradient" not in line for line in plain.run.lines())
    assert equal(measured.weights, plain.weights)
    assert equal(measured.distiller.state_dict(), plain.distiller.state_dict())


def test_a_resumed_training_measures_the_same(job):
    straight = job().fit()
    broken = job(stop=("batch", 1, 2))
    with pytest.raises(KeyboardInterrupt):
        broken.fit()
    resumed = job(folder=broken.run.path).fit()
    assert equal(straight.weights, resumed.weights)
    assert without_seconds(straight.run) == without_seconds(resumed.run)
    assert all(
        sum(line["share_of_gradient"].values()) == pytest.approx(1) for line in resumed.run.lines()
    )


def test_a_full_device_does_not_stop_a_training_that_fits(job, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError

    plain = job().fit()
    monkeypatch.setattr(Shares, "_norm", full)
    crowded = job().fit()
    assert equal(plain.weights, crowded.weights)
    assert all("share_of_gradient" not in line for line in crowded.run.lines())


# What it says of weights -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("norms", "said"),
    [
        ({"task": 1.0, "kd": 1.0}, {}),
        ({"task": 1.0, "kd": 98.0}, {}),
        ({"task": 1.0, "kd": 999.0}, {"kd": "kd is 99.9% of the gradient and drowns the rest; "
          "an even share: --set methods.kd.weight=0.002"}),
        ({"task": 999.0, "kd": 1.0}, {"task": "task is 99.9% of the gradient and drowns the rest; "
          "an even share: --set task.weight=0.001"}),
        ({"task": 1.0, "kd": 1e-4}, {"kd": "kd is 0.01% of the gradient and hardly heard; "
          "about a tenth: --set methods.kd.weight=2200"}),
        ({"task": 1e-5, "kd": 1.0}, {"kd": "kd is 100.0% of the gradient and drowns the rest; "
          "an even share: --set methods.kd.weight=2e-05"}),
        ({"task": 1.0, "kd": 1.0, "at": 1e-4}, {"at": "at is 0.005% of the gradient and hardly "
          "heard; about a tenth: --set methods.at.weight=6700"}),
        ({"task": 1.0, "kd": 1.0, "at": 0.0}, {}),
        ({"task": 0.0, "kd": 0.0}, {}),
    ],
)  # fmt: skip
def test_what_is_odd_is_said_with_the_weight_that_mends_it(norms, said):
    assert odd(norms, {"task": 1.0, "kd": 2.0, "at": 3.0}, set()) == said


@pytest.mark.parametrize("norms", [{"task": 1.0, "kd": 999.0, "at": 2.0}, {"task": 1.0, "kd": 9e4}])
def test_the_weight_for_an_even_share_makes_it_even(norms):
    words = odd(norms, dict.fromkeys(norms, 1.0), set())["kd"]
    after = shares(norms | {"kd": norms["kd"] * float(words.rpartition("=")[2])})
    assert after["kd"] == pytest.approx(1 / len(norms), rel=0.05)


def test_the_weight_for_a_tenth_makes_it_a_tenth():
    norms = {"task": 3.0, "kd": 2.0, "at": 1e-6}
    words = odd(norms, dict.fromkeys(norms, 1.0), set())["at"]
    after = shares(norms | {"at": norms["at"] * float(words.rpartition("=")[2])})
    assert after["at"] == pytest.approx(0.1, rel=0.05)


def test_a_term_is_told_of_once(job):
    made = job(Term("kd", KD(), constant(1e6))).fit()
    (said,) = made.progress.warnings
    assert said.startswith("student tiny: kd is 100.0% of the gradient and drowns the rest")
    assert "--set methods.kd.weight=" in said
    assert all(line["share_of_gradient"]["kd"] > 0.99 for line in made.run.lines())


def test_a_term_that_nothing_depends_on_is_told_of(job):
    made = job(Term("deaf", Deaf(), constant(1.0))).fit()
    assert made.progress.warnings == [
        "student tiny: deaf: its gradient is exactly 0, nothing that learns depends on it here"
    ]
    assert {line["share_of_gradient"]["deaf"] for line in made.run.lines()} == {0.0}


@pytest.mark.parametrize(
    "weight",
    [ramp(0.0, 1e9, "100%"), ramp(1e-9, 1.0, "100%"), ramp(1e9, 0.0, "100%")],
    ids=["rising", "from nearly nothing", "falling"],
)
def test_a_weight_on_its_way_elsewhere_is_let_be(job, weight):
    assert job(Term("kd", KD(), weight)).fit().progress.warnings == []


def test_a_ramp_that_has_arrived_is_told_of_by_its_end(job):
    made = job(Term("kd", KD(), ramp(0.0, 1e9, "1 epoch"))).fit()
    (said,) = made.progress.warnings
    assert "--set methods.kd.weight.to=" in said


def test_the_epochs_words_have_the_shares(job):
    made = job().fit()
    for line, words in zip(made.run.lines(), made.progress.notes, strict=True):
        task, kd = line["share_of_gradient"].values()
        assert words.endswith(f"  gradient: task {task:.0%}, kd {kd:.0%}")


def test_an_epoch_has_steps_enough_for_these_tests():
    assert STEPS > 1


# Where it is shown -------------------------------------------------------------------------------


def test_the_summary_has_a_table_of_terms(small: House, pictures):
    line = Run(small.student).lines()[-2]
    assert "gradient in the last epoch: kd " in kd_ok(*on_pictures(pictures)).out
    answer = kd_ok(*on_pictures(pictures), "--details")
    assert "share of gradient" in answer.out
    share = line["share_of_gradient"]["kd"]
    (row,) = [row for row in answer.out.splitlines() if "│ kd " in row]
    for cell in ("0.9", f"{line['terms']['kd']:.4g}", f"{share:.1%}"):
        assert f" {cell} " in row
    assert kd_ok(*on_pictures(pictures), "--json").document["terms"] == [
        {
            "term": term,
            "weight": weight,
            "loss": line["terms"][term],
            "share_of_loss": line["share_of_loss"][term],
            "share_of_gradient": line["share_of_gradient"][term],
        }
        for term, weight in (("task", 0.1), ("kd", 0.9))
    ]


def test_labels_alone_have_no_shares(small: House):
    answer = kd_ok(
        *("train", "test_resnet", "--recipe", SMALL_TEACHER),
        *("--data", Run(small.teacher).spec.data.location),
    )
    assert "share of" not in answer.out
    assert all("share_of_loss" not in line for line in Run(small.teacher).lines())
