"""THE loop: same seed, same student; resumed or straight, bit for bit; how it ends."""

import json
import os
from itertools import chain, count, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_job import CLASSES, STEPS, Job, Tiny, equal, train, without_seconds

from kdcli.core.errors import DamagedFile, DiskError, MissingDevice, NotFinite, OutOfMemory
from kdcli.core.progress import Silent
from kdcli.models.build import build
from kdcli.models.model_args import ModelArgs
from kdcli.training import loop, resume
from kdcli.training.devices import open_device
from kdcli.training.loop import Ended, finish


@pytest.fixture
def job(tmp_path):
    """A job in a folder of its own."""
    made = []

    def make(settings=None, *, folder=None, **options):
        made.append(folder or tmp_path / f"run{len(made)}")
        return Job(made[-1], settings, **options)

    return make


# Same seed, same student -------------------------------------------------------------------------


def test_the_same_seed_gives_bit_identical_weights(job):
    torch.manual_seed(1)
    first = job().fit()
    torch.manual_seed(2)
    torch.randn(100)
    second = job().fit()
    assert equal(first.weights, second.weights)
    assert without_seconds(first.run) == without_seconds(second.run)


def test_another_seed_gives_other_weights(job):
    assert not equal(job().fit().weights, job(seed=1).fit().weights)


def test_training_learns(job):
    done = job(train(epochs=8, lr=3e-2)).fit()
    lines = done.run.lines()
    assert lines[-1]["terms"]["task"] < lines[0]["terms"]["task"]
    assert done.ended.val_accuracy > 0.6


# What a recipe can ask for -----------------------------------------------------------------------


def test_a_batch_in_parts_moves_the_weights_as_the_whole_does(job):
    """Without batch norm, whose statistics are those of a part."""

    class Plain(Tiny):
        def forward(self, x):
            return self.head(self.conv(x).relu().mean((2, 3)))

    whole = job(train(optimizer="sgd"), module=Plain).fit()
    parts = job(train(optimizer="sgd", accumulate=3), module=Plain).fit()
    for key, weight in whole.weights.items():
        assert torch.allclose(weight, parts.weights[key], atol=1e-6), key
    for one, other in zip(whole.run.lines(), parts.run.lines(), strict=True):
        assert one["train_accuracy"] == other["train_accuracy"]
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)


def test_the_moving_average_is_what_is_measured_and_ships(job):
    done = job(train(ema=0.9, epochs=4)).fit()
    assert not equal(done.weights, done.student.state_dict())
    assert equal(done.weights, done.seen[done.ended.best_epoch - 1])
    learned, average = done.student.state_dict(), done.seen[-1]
    first = job(train(ema=0.9, epochs=4)).student.state_dict()
    key = "module.head.weight"
    assert (average[key] - first[key]).norm() < (learned[key] - first[key]).norm()


def test_a_moving_average_resumes_bit_identical(job):
    settings = train(ema=0.9)
    straight = job(settings).fit()
    broken = job(settings, stop=("batch", 1, 2))
    with pytest.raises(KeyboardInterrupt):
        broken.fit()
    assert equal(straight.weights, job(settings, folder=broken.run.path).fit().weights)


def test_the_trunk_moves_at_its_share_of_the_rate(job):
    class Timm(Tiny):
        def get_classifier(self):
            return self.head

    quick = job(train(optimizer="sgd", epochs=1, clip=None), module=Timm)
    slow = job(train(optimizer="sgd", epochs=1, clip=None, trunk_lr=1e-6), module=Timm)
    before = {k: v.clone() for k, v in slow.student.state_dict().items()}
    quick.fit()
    slow.fit()
    for key in ("module.conv.weight", "module.norm.weight"):
        assert torch.allclose(slow.weights[key], before[key], atol=1e-5), key
        assert not torch.allclose(quick.weights[key], before[key], atol=1e-4), key
    assert not torch.allclose(slow.weights["module.head.weight"], before["module.head.weight"])


def test_the_best_epoch_may_be_that_of_the_balanced_accuracy(job):
    scores = [(0.9, 1.0), (0.5, 1.0), (0.7, 1.0)]  # the balanced one is 1 minus the other here
    done = job(train(select="balanced_accuracy"), scores=scores).fit()
    assert (done.ended.best_epoch, done.ended.val_accuracy) == (2, 0.5)
    assert done.ended.val_balanced_accuracy == 0.5


# Resume ------------------------------------------------------------------------------------------


@pytest.fixture
def always_kept(monkeypatch):
    """However short an epoch is."""
    monkeypatch.setattr(resume, "SELDOM", 0)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize(
    "stop",
    [
        ("validate", 0),
        ("validate", 1),
        ("validate", 2),
        ("batch", 0, 2),
        ("batch", 1, 0),
        ("batch", 2, 3),
    ],
)
def test_a_resumed_training_ends_bit_identical(job, stop, optimizer, always_kept):
    settings = train(optimizer=optimizer)
    straight = job(settings).fit()
    broken = job(settings, stop=stop)
    with pytest.raises(KeyboardInterrupt):
        broken.fit()
    done = len(broken.run.lines())
    assert done == stop[1]
    resumed = job(settings, folder=broken.run.path).fit()
    assert len(resumed.seen) == 3 - done  # finished epochs are not trained again
    assert equal(straight.weights, resumed.weights)
    assert equal(straight.distiller.state_dict(), resumed.distiller.state_dict())
    assert without_seconds(straight.run) == without_seconds(resumed.run)
    assert straight.ended.best_epoch == resumed.ended.best_epoch
    assert straight.ended.converged == resumed.ended.converged


def test_state_is_written_seldom_where_epochs_are_short(job, monkeypatch):
    monkeypatch.setattr(resume, "SELDOM", 1e9)
    straight = job().fit()
    broken = job(stop=("validate", 2), ends=RuntimeError)  # no signal: it is killed
    with pytest.raises(RuntimeError):
        broken.fit()
    assert len(broken.run.lines()) == 2
    resumed = job(folder=broken.run.path).fit()
    assert len(resumed.seen) == 2, "that of the first epoch is there"
    assert equal(straight.weights, resumed.weights)
    assert without_seconds(straight.run) == without_seconds(resumed.run)


def test_within_a_long_epoch_state_is_written_by_time(job, monkeypatch):
    monkeypatch.setattr(resume, "SELDOM", 0)
    settings = train(save_minutes=1e-9, epochs=2)
    straight = job(train(epochs=2)).fit()
    broken = job(settings, stop=("batch", 1, 3), ends=RuntimeError)  # no signal: it is killed
    with pytest.raises(RuntimeError):
        broken.fit()
    again = job(settings, folder=broken.run.path)
    asked = []
    feed, again.feed = again.feed, lambda *place: asked.append(place) or feed(*place)
    again.fit()
    assert asked == [(1, 3)]
    assert equal(straight.weights, again.weights)
    assert without_seconds(straight.run) == without_seconds(again.run)


@pytest.mark.parametrize("how", ["cut", "flipped", "missing"])
def test_a_damaged_state_costs_what_came_after_the_one_before(job, how, always_kept):
    straight = job().fit()
    broken = job(stop=("validate", 2), ends=RuntimeError)
    with pytest.raises(RuntimeError):
        broken.fit()
    run, said = broken.run, Heard()
    whole = run.state.read_bytes()
    if how == "missing":  # killed while it took its place
        run.state.unlink()
    else:
        half = len(whole) // 2
        changed = bytes([whole[half] ^ 1]) if how == "flipped" else b""
        run.state.write_bytes(whole[:half] + changed + (whole[half + 1 :] if changed else b""))
    resume.recover(run, said)
    assert ("going on from state.former.pt" in said.warnings) == (how != "missing")
    again = job(folder=run.path).fit()
    assert len(again.seen) == 2, "the first epoch is not trained again"
    assert equal(straight.weights, again.weights)
    assert without_seconds(straight.run) == without_seconds(again.run)


def test_the_state_of_another_run_is_not_gone_on_from(job, monkeypatch, always_kept):
    """Copied, or moved by mistake: the one before is this run's own."""
    monkeypatch.setattr(resume, "_whose", lambda run: run.path.name)
    mine, other = job(stop=("validate", 2)), job(stop=("validate", 2), seed=1)
    for one in (mine, other):
        with pytest.raises(KeyboardInterrupt):
            one.fit()
    mine.run.state.write_bytes(other.run.state.read_bytes())
    resume.recover(mine.run, said := Heard())
    assert "the resume state of another run; going on from state.former.pt" in said.warnings
    assert resume.epochs_kept(mine.run) == 2
    mine.run.state.write_bytes(other.run.state.read_bytes())
    with pytest.raises(DamagedFile, match="another run"):
        job(folder=mine.run.path).fit()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_no_state_and_stays(job, make, always_kept):
    broken = job(stop=("validate", 2), ends=RuntimeError)
    with pytest.raises(RuntimeError):
        broken.fit()
    state, former = broken.run.state, broken.run.former_state
    before = former.read_bytes()
    state.unlink()
    make(state)
    with pytest.raises(DamagedFile, match="no file") as caught:
        resume.recover(broken.run, Heard())
    assert f"goes on from {former}" in caught.value.fix
    assert former.read_bytes() == before


def test_lines_that_are_lost_are_told_of(job, always_kept):
    broken = job(stop=("validate", 2), ends=RuntimeError)
    with pytest.raises(RuntimeError):
        broken.fit()
    lines = broken.run.metrics.read_text().splitlines()
    broken.run.metrics.write_text("{torn\n" + lines[1] + "\n")
    resume.recover(broken.run, said := Heard())
    assert "metrics.jsonl: damaged, 2 epochs of it cannot be read" in said.warnings


class Heard(Silent):
    """What was warned of."""

    warnings = ""

    def warn(self, text):
        self.warnings += text


def test_a_training_interrupted_twice_ends_bit_identical(job):
    straight = job().fit()
    broken = job(stop=("validate", 1))
    with pytest.raises(KeyboardInterrupt):
        broken.fit()
    with pytest.raises(KeyboardInterrupt):
        job(folder=broken.run.path, stop=("batch", 2, 1)).fit()
    assert equal(straight.weights, job(folder=broken.run.path).fit().weights)


def test_lines_that_the_state_does_not_know_of_are_cut_off(job):
    straight = job().fit()
    broken = job(stop=("validate", 1))
    with pytest.raises(KeyboardInterrupt):
        broken.fit()
    with broken.run.metrics.open("a") as file:  # killed between metrics.jsonl and state.pt
        file.write(json.dumps({"epoch": 2, "loss": 9.0}) + '\n{"epoch": 3, "lo')
    resumed = job(folder=broken.run.path).fit()
    assert without_seconds(straight.run) == without_seconds(resumed.run)


def test_killed_between_the_last_epoch_and_its_model_file_ends_bit_identical(job, always_kept):
    first = job().fit()
    again = job(folder=first.run.path).fit()
    assert len(again.seen) <= 1  # at most the last epoch is trained again
    assert equal(first.weights, again.weights)
    assert without_seconds(first.run) == without_seconds(again.run)
    assert (again.ended.ended, again.ended.best_epoch) == ("epochs", first.ended.best_epoch)


def test_without_a_state_it_starts_afresh(job):
    broken = job(stop=("validate", 2))
    with pytest.raises(KeyboardInterrupt):
        broken.fit()
    broken.run.state.unlink()
    again = job(folder=broken.run.path).fit()
    assert [line["epoch"] for line in again.run.lines()] == [1, 2, 3]
    assert equal(job().fit().weights, again.weights)


def test_a_real_model_resumes_bit_identical(job):
    def module():
        return build(ModelArgs("test_efficientnet", CLASSES, 32))

    settings = train(epochs=2)
    straight = job(settings, module=module, size=32).fit()
    broken = job(settings, module=module, size=32, stop=("validate", 1))
    with pytest.raises(KeyboardInterrupt):
        broken.fit()
    resumed = job(settings, folder=broken.run.path, module=module, size=32).fit()
    assert equal(straight.weights, resumed.weights)


# The end -----------------------------------------------------------------------------------------

RISING = [(0.1, 5.0), (0.2, 4.0), (0.3, 3.0), (0.4, 2.0), (0.5, 1.0), (0.6, 0.5)]
STUCK = [(0.5, 1.0), (0.6, 1.0), (0.4, 1.0), (0.5, 1.0), (0.3, 1.0), (0.2, 1.0)]


@pytest.mark.parametrize(
    ("changes", "scores", "ended", "epochs", "best"),
    [
        ({}, RISING, "epochs", 6, 6),
        ({"patience": 2}, RISING, "epochs", 6, 6),
        ({"patience": 2}, STUCK, "converged", 4, 2),
        ({"patience": 1}, STUCK, "converged", 3, 2),
        ({"patience": 9}, STUCK, "epochs", 6, 2),
        ({"until": {"accuracy": 0.3}}, RISING, "satisfactory", 3, 3),
        ({"until": {"accuracy": 0.05}}, RISING, "satisfactory", 1, 1),
        ({"until": {"accuracy": 0.9}}, RISING, "epochs", 6, 6),
        ({"until": {"accuracy": 0.6}, "patience": 1}, STUCK, "satisfactory", 2, 2),
    ],
)
def test_which_of_three_ends(job, changes, scores, ended, epochs, best):
    done = job(train(epochs=6, **changes), scores=scores).fit()
    assert (done.ended.ended, done.ended.epochs) == (ended, epochs)
    assert (done.ended.best_epoch, done.ended.val_accuracy) == (best, scores[best - 1][0])
    assert len(done.run.lines()) == epochs


def test_the_best_epochs_weights_are_returned_not_the_last(job):
    done = job(scores=[(0.5, 1.0), (0.9, 1.0), (0.6, 1.0)]).fit()
    assert equal(done.weights, done.seen[1])
    assert not equal(done.weights, done.seen[2])


def test_of_equal_accuracies_the_surer_epoch_ships(job):
    done = job(scores=[(0.5, 1.0), (0.5, 0.7), (0.5, 0.9)]).fit()
    assert done.ended.best_epoch == 2
    assert equal(done.weights, done.seen[1])


def test_the_best_epoch_survives_an_interruption(job):
    scores = [(0.9, 1.0), (0.5, 1.0), (0.6, 1.0)]
    straight = job(scores=scores).fit()
    broken = job(scores=scores, stop=("batch", 2, 0))
    with pytest.raises(KeyboardInterrupt):
        broken.fit()
    resumed = job(scores=scores, folder=broken.run.path).fit()
    assert resumed.ended.best_epoch == 1
    assert equal(straight.weights, resumed.weights)


def test_patience_counts_a_better_nll_at_equal_accuracy(job):
    scores = [(0.5, 1.0), (0.5, 0.9), (0.5, 0.8), (0.5, 0.7)]
    assert job(train(epochs=4, patience=2), scores=scores).fit().ended.ended == "epochs"


def test_finish_closes_the_metrics_once(job):
    done = job().fit()
    finish(done.run, done.ended)
    finish(done.run, done.ended)
    lines = done.run.lines()
    assert [("ended" in line) for line in lines] == [False, False, False, True]
    assert lines[-1]["ended"] == "epochs"
    assert Ended(**lines[-1]) == done.ended


# Losses that are no numbers ----------------------------------------------------------------------


class Poisoned(Tiny):
    """Answers NaN from its third training step on."""

    def __init__(self, value=float("nan")):
        super().__init__()
        self.value, self.steps, self.before = value, 0, None

    def forward(self, x):
        if self.training:
            self.steps += 1
            self.before = {k: v.detach().clone() for k, v in self.named_parameters()}
        answer = super().forward(x)
        return answer * self.value if self.steps > 2 else answer


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
def test_a_loss_that_is_no_number_stops_before_the_step(job):
    poisoned = job(module=Poisoned)
    with pytest.raises(NotFinite) as caught:
        poisoned.fit()
    assert caught.value.code == 4
    assert "task and kd" in caught.value.what
    assert "task = nan, kd = nan" in caught.value.what
    assert "train.lr" in caught.value.fix
    module = poisoned.student.module
    assert module.steps == 3
    assert equal(module.before, dict(module.named_parameters()))


def test_only_the_term_that_is_no_number_is_named(job):
    broken = job()
    broken.teacher.tap.module.head.bias.data.fill_(float("nan"))
    before = {k: v.clone() for k, v in broken.student.named_parameters()}
    with pytest.raises(NotFinite) as caught:
        broken.fit()
    place, what = caught.value.what.split(": ", 1)
    assert place.startswith("epoch 1, step 1, images ")
    assert what.startswith("the loss is not finite: kd (task = ")
    assert what.endswith(
        "as teacher.0 answers 6 images with what is no number; stopped before the step"
    )
    kept = torch.load(broken.run.path / "not_finite.pt", weights_only=True)
    assert kept["index"].tolist() == next(broken.batches(epoch=0)).index.tolist()
    assert torch.equal(kept["images"], next(broken.batches(epoch=0)).images)
    assert torch.equal(
        kept["weights"]["learners.student.module.head.bias"], before["module.head.bias"]
    )
    assert equal(before, dict(broken.student.named_parameters()))
    assert broken.run.lines() == []


def test_a_full_disk_does_not_hide_it(job, monkeypatch):
    def full(*_):
        raise DiskError("no space left")

    monkeypatch.setattr("kdcli.training.not_finite.write", full)
    broken = job()
    broken.teacher.tap.module.head.bias.data.fill_(float("nan"))
    with pytest.raises(NotFinite) as caught:
        broken.fit()
    assert "not_finite.pt" not in caught.value.fix


@pytest.mark.parametrize("clip", [1.0, None])
def test_a_gradient_that_is_no_number_stops_before_the_step(job, clip):
    class Root(Tiny):
        def forward(self, x):
            answer = super().forward(x)
            return answer + (answer.detach() * 0 + self.head.bias * 0).sqrt()  # d sqrt(0) = inf

    broken = job(train(clip=clip), module=Root)
    before = {k: v.clone() for k, v in broken.student.named_parameters()}
    with pytest.raises(NotFinite, match=r"the gradient is not finite.*in learners"):
        broken.fit()
    assert equal(before, dict(broken.student.named_parameters()))


def test_a_full_device_says_how_to_need_less(job):
    class Huge(Tiny):
        def forward(self, x):
            if self.training:
                raise torch.OutOfMemoryError("full")
            return super().forward(x)

    with pytest.raises(OutOfMemory) as caught:
        job(module=Huge).fit()
    assert caught.value.code == 5
    assert "student tiny" in caught.value.what
    assert "6 images of 8 pixels" in caught.value.what
    assert "train.accumulate=2" in caught.value.fix
    assert "data.image_size=" in caught.value.fix


def test_a_full_gpu_gets_the_batch_in_more_parts(job, monkeypatch):
    """As if this were one: the step is that of train.accumulate, and said once."""

    class Small(Tiny):
        def forward(self, x):
            answer = super().forward(x)
            if self.training and len(x) > 3:
                raise torch.OutOfMemoryError("full")
            return answer

    said = Heard()
    wanted = job(train(accumulate=2)).fit()
    monkeypatch.setattr("kdcli.training.memory.grows", lambda device: True)
    found = job(module=Small, progress=said).fit()
    assert equal(wanted.weights, found.weights)
    assert said.warnings.count("each batch passes in") == 1
    assert "train.accumulate=2" in said.warnings


def test_a_gpu_that_is_full_with_two_images_is_told(job, monkeypatch):
    class Huge(Tiny):
        def forward(self, x):
            if self.training:
                raise torch.OutOfMemoryError("full")
            return super().forward(x)

    monkeypatch.setattr("kdcli.training.memory.grows", lambda device: True)
    with pytest.raises(OutOfMemory, match="6 images of 8 pixels a step"):
        job(module=Huge).fit()


# What is written down ----------------------------------------------------------------------------


def test_metrics_hold_every_term_raw_and_weighted(job):
    done = job().fit()
    lines = done.run.lines()
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert [line["step"] for line in lines] == [STEPS, 2 * STEPS, 3 * STEPS]
    for line in lines:
        assert list(line["terms"]) == list(line["weighted"]) == ["task", "kd"]
        assert line["loss"] == pytest.approx(sum(line["weighted"].values()))
        assert 0 <= line["train_accuracy"] <= 1
        assert {"lr", "val_accuracy", "val_nll"} <= set(line)
    first = lines[0]  # the weight of task is 0.1, 0.125, 0.15, 0.175 in its four steps
    assert 0.1 < first["weighted"]["task"] / first["terms"]["task"] < 0.175
    assert 0.825 < first["weighted"]["kd"] / first["terms"]["kd"] < 0.9


def test_the_logged_terms_are_means_over_the_steps(job):
    watched, steps = job(), []

    forward = watched.distiller.forward

    def spy(batch):
        losses = forward(batch)
        steps.append({k: float(v.detach()) for k, v in losses.terms.items()})
        return losses

    watched.distiller.forward = spy
    watched.fit()
    for epoch, line in enumerate(watched.run.lines()):
        own = steps[epoch * STEPS : (epoch + 1) * STEPS]
        for name, value in line["terms"].items():
            assert value == pytest.approx(np.mean([s[name] for s in own]), rel=1e-5)


def test_the_rate_warms_up_and_then_falls_towards_zero(job):
    lines = job(train(epochs=6, warmup="2 epochs", lr=0.01)).fit().run.lines()
    rates = [line["lr"] for line in lines]
    assert rates[0] == pytest.approx(0.005)
    assert rates[1] == pytest.approx(0.01)
    assert all(a > b for a, b in pairwise(rates[1:]))
    assert 0 < rates[-1] < 0.001


def test_without_warm_up_the_rate_starts_near_its_peak(job):
    rates = [x["lr"] for x in job(train(epochs=3, warmup=None, lr=0.01)).fit().run.lines()]
    assert rates[0] > 0.005
    assert all(a > b for a, b in pairwise(rates))


def test_one_epoch_is_a_training_too(job):
    assert job(train(epochs=1, warmup="5%")).fit().ended.epochs == 1


def test_clipping_bounds_the_step(job):
    free = job(train(optimizer="sgd", clip=None, weight_decay=0.0)).fit()
    bound = job(train(optimizer="sgd", clip=1e-9, weight_decay=0.0)).fit()
    start = job().student.state_dict()
    moved = [
        max(float((w[k] - start[k]).abs().max()) for k in w if "weight" in k and "norm" not in k)
        for w in (free.weights, bound.weights)
    ]
    assert moved[0] > 1e-4
    assert moved[1] < 1e-6


def test_the_teacher_is_the_same_bit_for_bit_afterwards(job):
    made = job()
    before = {k: v.clone() for k, v in made.teacher.tap.state_dict().items()}
    made.fit()
    assert equal(before, made.teacher.tap.state_dict())
    assert all(p.grad is None for p in made.teacher.tap.parameters())
    assert not made.teacher.tap.training


# Devices -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "nope"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(MissingDevice) as caught:
        open_device(device)
    assert caught.value.code == 2
    assert device in caught.value.what
    assert "cpu" in caught.value.fix


@pytest.mark.parametrize(("enough", "timed"), [(60.0, 19), (0.0, 1)])
def test_a_rehearsal_takes_twenty_steps_or_as_long_as_is_enough(job, monkeypatch, enough, timed):
    """The first step, which is always slow, is left out."""
    monkeypatch.setattr(loop, "REHEARSED", 20)
    monkeypatch.setattr(loop, "ENOUGH_SECONDS", enough)
    made = job()
    batches = chain.from_iterable(made.batches(epoch=0) for _ in count())
    before = torch.get_rng_state()
    cpu = torch.device("cpu")
    threads, seconds = loop.rehearse(made.distiller, made.settings, batches, cpu, "tiny", (1,))
    assert threads == 1
    assert len(seconds) == timed
    assert all(one > 0 for one in seconds)
    assert torch.equal(before, torch.get_rng_state())
