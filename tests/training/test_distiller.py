"""One module for a training: who is in it, what is scored, and what is refused beforehand."""

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import nn

from kdcli.core.errors import UnmetNeeds
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Learner, Lesson, Outputs, Pair
from kdcli.core.scheme import Scheme
from kdcli.methods.kd import KD, kd_loss
from kdcli.models.model_args import ModelArgs
from kdcli.models.tap import Tap
from kdcli.models.teachers import Frozen
from kdcli.recipe.match import Disturbance, Mask, Match, Noise
from kdcli.schemes.alone import Alone
from kdcli.schemes.offline import Offline
from kdcli.training.distiller import Distiller, Term
from kdcli.training.disturb import disturb
from kdcli.training.losses import task_loss

ABOUT = About(num_classes=5, num_samples=60, steps_per_epoch=10)


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        return self.head(self.drop(self.norm(self.conv(x)).relu().mean((2, 3))))


def tap(by="student", seed=0):
    torch.manual_seed(seed)
    return Tap(Tiny(), ModelArgs("tiny", 5, 8), by)


def batch(n=6, seed=0, epoch=0.0):
    images = torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    rows = torch.arange(n)
    targets = nn.functional.one_hot(rows % 5, 5).float()
    return Batch(images, rows % 5, targets, rows, torch.zeros_like(rows), epoch)


class Plain(nn.Module):
    """Answers as a tap does, but cannot be asked to show its layers."""

    def __init__(self, tap):
        super().__init__()
        self.inner = tap

    def forward(self, batch):
        return self.inner(batch)


def plain():
    """Student and teacher of that kind."""
    teachers = {"teacher.0": Plain(tap("teacher.0", 1)).eval()}
    return {"learners": {"student": Plain(tap())}, "teachers": teachers}


def distiller(scheme=None, terms=(), teachers=None, task_weight=1.0, learners=None, **further):
    weight = task_weight if callable(task_weight) else lambda epoch: task_weight
    return Distiller(
        scheme=scheme or Offline(),
        learners=learners or {"student": tap()},
        teachers={"teacher.0": Frozen(tap("teacher.0", 1))} if teachers is None else teachers,
        terms=tuple(terms),
        task_weight=weight,
        example=batch(),
        about=ABOUT,
        **further,
    )


def term(name="kd", method=None, weight=1.0):
    return Term(name, method or KD(), weight if callable(weight) else lambda epoch: weight)


class NeedsHeads(Method):
    """Reads what no scheme here gives."""

    needs: ClassVar[frozenset[str]] = frozenset({"heads"})
    default_weight: ClassVar[float] = 1.0

    def loss(self, student, teacher, batch, adapter):
        return (student.heads - teacher.heads).square().mean()


class Adapted(Method):
    """Learns a linear map from the student's logits to the teacher's."""

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})
    default_weight: ClassVar[float] = 1.0

    def adapter(self, student, teacher, about):
        return nn.Linear(student.logits.shape[1], about.num_classes)

    def loss(self, student, teacher, batch, adapter):
        return (adapter(student.logits) - teacher.logits).square().mean()


class Confident(Method):
    """Needs no teacher."""

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})
    default_weight: ClassVar[float] = 1.0
    needs_teacher: ClassVar[bool] = False

    def loss(self, student, teacher, batch, adapter):
        return student.logits.square().mean()


class Taught(Scheme):
    """Two learners; the first imitates the second, which learns too, and the frozen one."""

    def parts(self, outputs, about):
        return {"gate": nn.Linear(outputs["student"].logits.shape[1], 1)}

    def lesson(self, outputs):
        first, second = outputs["student"], outputs["peer.1"]
        return Lesson(
            learners=(Learner(first), Learner(second, 0.5)),
            pairs=(Pair(first, second, 0.25), Pair(first, outputs["teacher.0"], 0.75)),
        )


def two_learners(terms, teachers=None, task_weight=1.0):
    learners = {"student": tap(), "peer.1": tap("peer.1", 2)}
    # a ModuleDict's keys hold no dot
    named = {name.replace(".", "_"): learner for name, learner in learners.items()}

    class Named(Taught):
        def lesson(self, outputs):
            return super().lesson({k.replace("peer_", "peer."): v for k, v in outputs.items()})

    return distiller(Named(), terms, teachers, task_weight, named)


# The loss ----------------------------------------------------------------------------------------


def test_the_total_is_the_weighted_sum_of_the_terms():
    found = distiller(
        terms=[term("kd", weight=0.9), term("hot", KD(temperature=10.0), 0.3)], task_weight=0.1
    )(batch())
    assert list(found.terms) == ["task", "kd", "hot"]
    assert found.weights == {"task": 0.1, "kd": 0.9, "hot": 0.3}
    expected = sum(found.weights[name] * loss for name, loss in found.terms.items())
    torch.testing.assert_close(found.total, expected)


def test_terms_stand_in_the_recipes_order_behind_task():
    names = ["zz", "aa", "kd"]
    found = distiller(terms=[term(name) for name in names])(batch())
    assert list(found.terms) == list(found.weights) == ["task", *names]


def test_each_term_is_unweighted_and_what_its_method_says():
    student, teacher = tap(), Frozen(tap("teacher.0", 1))
    made = distiller(
        terms=[term(weight=0.9)], teachers={"teacher.0": teacher}, learners={"student": student}
    ).eval()
    one = batch()
    found = made(one)
    answers = student(one)
    torch.testing.assert_close(found.terms["task"], task_loss((Learner(answers),), one))
    torch.testing.assert_close(found.terms["kd"], kd_loss(answers.logits, teacher(one).logits, 4.0))
    assert int(found.correct) == int((answers.logits.argmax(1) == one.labels).sum())


def test_the_task_loss_is_that_of_images_with_labels():
    one = replace(batch(), labels=torch.tensor([*batch().labels.tolist()[:-2], -1, -1]))
    one = replace(one, targets=one.targets * (one.labels >= 0)[:, None])
    answers = Outputs("student", torch.randn(*one.targets.shape))
    known = one._each(lambda tensor: tensor[:-2])
    alone = task_loss((Learner(replace(answers, logits=answers.logits[:-2])),), known)
    torch.testing.assert_close(task_loss((Learner(answers),), one), alone)
    nobody = replace(one, labels=-torch.ones_like(one.labels), targets=0 * one.targets)
    assert task_loss((Learner(answers),), nobody) == 0


def test_the_task_loss_weighs_its_learners():
    one = batch()
    first, second = tap().eval()(one), tap("peer", 3).eval()(one)
    both = task_loss((Learner(first, 1.0), Learner(second, 0.25)), one)
    alone = task_loss((Learner(first),), one) + 0.25 * task_loss((Learner(second),), one)
    torch.testing.assert_close(both, alone)


def test_pairs_are_weighted():
    made = two_learners([term()]).eval()
    one = batch()
    first, second = (made.learners[name](one).logits for name in ("student", "peer_1"))
    frozen = tap("teacher.0", 1).eval()(one).logits
    expected = 0.25 * kd_loss(first, second, 4.0) + 0.75 * kd_loss(first, frozen, 4.0)
    torch.testing.assert_close(made(one).terms["kd"], expected)


def test_weights_follow_the_epoch():
    made = distiller(
        terms=[term(weight=lambda epoch: epoch / 10)], task_weight=lambda epoch: 1 - epoch / 10
    )
    assert made(batch(epoch=0.0)).weights == {"task": 1.0, "kd": 0.0}
    found = made(batch(epoch=2.5))
    assert found.weights == {"task": 0.75, "kd": 0.25}
    torch.testing.assert_close(found.total, 0.75 * found.terms["task"] + 0.25 * found.terms["kd"])


def test_losses_are_float32_for_a_bf16_student():
    student = tap()
    student.precision = "bf16"
    found = distiller(terms=[term()], learners={"student": student})(batch())
    assert {loss.dtype for loss in [found.total, *found.terms.values()]} == {torch.float32}


# Who learns --------------------------------------------------------------------------------------


def test_frozen_teachers_stay_outside_and_all_that_learns_is_inside():
    teacher = Frozen(tap("teacher.0", 1))
    made = two_learners([term("fit", Adapted())], {"teacher.0": teacher})
    inside = {id(p) for p in made.parameters()}
    assert not inside & {id(p) for p in teacher.tap.parameters()}
    for module in (*made.learners.values(), made.parts["gate"], *made.adapters.values()):
        assert {id(p) for p in module.parameters()} <= inside
    assert len(made.adapters) == 2  # one per pair
    kinds = {key.split(".")[0] for key in made.state_dict()}
    assert kinds == {"learners", "parts", "adapters"}


def test_no_gradient_reaches_a_frozen_teacher_and_train_leaves_it_in_eval():
    teacher = Frozen(tap("teacher.0", 1))
    before = {k: v.clone() for k, v in teacher.tap.state_dict().items()}
    made = distiller(terms=[term()], teachers={"teacher.0": teacher}).train()
    for seed in range(3):
        made(batch(seed=seed)).total.backward()
    assert all(p.grad is None for p in teacher.tap.parameters())
    assert not teacher.tap.training
    assert all(torch.equal(before[k], v) for k, v in teacher.tap.state_dict().items())


def test_whoever_teaches_is_not_taught_by_the_pair():
    made = two_learners([term()], task_weight=0.0)
    made(batch()).total.backward()
    assert any(p.grad.abs().max() > 0 for p in made.learners["student"].parameters())
    peer = [p.grad for p in made.learners["peer_1"].parameters()]
    assert all(g is None or float(g.abs().max()) == 0 for g in peer)


@pytest.mark.parametrize(
    "field", ["logits", "embedding", "stages", "features", "preactivations", "heads"]
)
def test_everything_a_teacher_answers_is_cut_off(field):
    seen = {}

    class Spy(Method):
        needs: ClassVar[frozenset[str]] = frozenset({"logits"})
        default_weight: ClassVar[float] = 1.0

        def loss(self, student, teacher, batch, adapter):
            seen["student"], seen["teacher"] = getattr(student, field), getattr(teacher, field)
            return student.logits.sum() * 0

    class Full(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(5))

        def forward(self, batch):
            answer = batch.targets * self.weight
            many = (answer, answer)
            return Outputs("x", answer, many, answer, many, many, torch.stack(many, 1))

    class Peers(Scheme):
        def lesson(self, outputs):
            student, peer = outputs["student"], outputs["peer"]
            return Lesson((Learner(student),), (Pair(student, peer),))

    learners = {"student": Full(), "peer": Full()}
    distiller(Peers(), [term("spy", Spy())], {}, learners=learners)(batch())

    def tensors(value):
        return value if isinstance(value, tuple) else (value,)

    assert all(t.requires_grad for t in tensors(seen["student"]))
    assert not any(t.requires_grad for t in tensors(seen["teacher"]))


def test_an_adapter_learns():
    made = distiller(terms=[term("fit", Adapted())])
    made(batch()).total.backward()
    (adapter,) = made.adapters.values()
    assert float(adapter.weight.grad.abs().max()) > 0


def test_what_ships_is_the_student():
    made = distiller()
    assert made.ships() == {"student": made.learners["student"]}
    assert made.beside() == {}


# Disturbed teachers ------------------------------------------------------------------------------

NOISY = (Disturbance(noise=Noise(probability=1.0)),)


def test_methods_see_what_match_augment_makes_of_a_teacher():
    made, one = (
        distiller(terms=[term()], match=Match(augment=NOISY), seed=3).eval(),
        batch(epoch=0.5),
    )
    student, teacher = tap().eval()(one), tap("teacher.0", 1).eval()(one)
    disturbed = disturb(teacher, one, 3, NOISY)
    found = made(one)
    torch.testing.assert_close(found.terms["kd"], kd_loss(student.logits, disturbed.logits, 4.0))
    torch.testing.assert_close(found.terms["task"], task_loss((Learner(student),), one))
    assert not torch.equal(made(batch(epoch=0.75)).terms["kd"], found.terms["kd"])


def test_adapters_are_built_for_the_teacher_as_it_is():
    seen = []

    class Spy(Adapted):
        def adapter(self, student, teacher, about):
            seen.append(teacher.logits)
            return super().adapter(student, teacher, about)

    distiller(terms=[term("fit", Spy())], match=Match(augment=NOISY))
    assert torch.equal(seen[0], tap("teacher.0", 1).eval()(batch()).logits)


def test_disturbing_what_no_method_reads_is_refused_before_the_first_step():
    with pytest.raises(UnmetNeeds, match=r"match\.augment disturbs the teacher's features"):
        distiller(terms=[term()], match=Match(augment=(*NOISY, Disturbance(mask=Mask()))))


# Before the first step ---------------------------------------------------------------------------


def test_the_probe_moves_no_buffer_and_teaches_nobody():
    student, teacher = tap(), Frozen(tap("teacher.0", 1))
    before = {k: v.clone() for k, v in student.state_dict().items()}
    made = distiller(terms=[term()], teachers={"teacher.0": teacher}, learners={"student": student})
    assert all(torch.equal(before[k], v) for k, v in student.state_dict().items())
    assert all(p.grad is None for p in student.parameters())
    assert made.training
    assert student.module.norm.training
    made(batch())
    assert not torch.equal(before["module.norm.running_mean"], student.module.norm.running_mean)


def test_a_method_whose_needs_are_unmet_is_refused_in_words():
    with pytest.raises(UnmetNeeds) as caught:
        distiller(terms=[term(), term("at", NeedsHeads())], **plain())
    assert caught.value.code == 2
    assert caught.value.what.startswith("at needs heads; scheme offline does not give that")
    assert caught.value.fix


def test_a_method_that_needs_a_teacher_is_refused_without_one():
    with pytest.raises(UnmetNeeds, match="kd needs teacher; scheme alone"):
        distiller(Alone(), [term()], {})


def test_a_method_that_needs_no_teacher_works_alone():
    found = distiller(Alone(), [term("calm", Confident())], {})(batch())
    assert list(found.terms) == ["task", "calm"]
    assert torch.isfinite(found.total)


class Echo(Confident):
    """Imitates whoever it is given as the teacher."""

    def loss(self, student, teacher, batch, adapter):
        return (student.logits - 2 * teacher.logits).square().mean()


def test_where_nobody_teaches_a_method_is_given_the_students_own_answer_cut_off():
    module = distiller(Alone(), [term("echo", Echo())], teachers={}, task_weight=0.0)
    learner = module.learners["student"].module
    learner.eval()
    logits = module.learners["student"](batch()).logits
    losses = module(batch())
    torch.testing.assert_close(losses.terms["echo"], logits.square().mean())
    (found,) = torch.autograd.grad(losses.terms["echo"], [learner.head.bias])
    through_one_side = -2 * logits.detach().sum(0) / logits.numel()
    torch.testing.assert_close(found, through_one_side)


def test_a_scheme_without_pairs_gives_a_method_nothing_to_score():
    class Nobody(Scheme):
        def lesson(self, outputs):
            return Lesson((Learner(outputs["student"]),))

    with pytest.raises(UnmetNeeds, match="kd needs a pair"):
        distiller(Nobody(), [term()], {})
    assert list(distiller(Nobody(), [], {})(batch()).terms) == ["task"]


def test_pairs_that_lack_something_are_skipped_and_said():
    class Half(Scheme):
        def lesson(self, outputs):
            student, teacher = outputs["student"], outputs["teacher.0"]
            rich = [replace(o, heads=o.logits) for o in (student, teacher)]
            return Lesson((Learner(student),), (Pair(student, teacher), Pair(*rich, 0.5)))

    made = distiller(Half(), [term(), term("at", NeedsHeads())], **plain()).eval()
    assert made.skipped == [
        "at skips student with teacher.0: no heads; the other pairs count for them, too"
    ]
    one = batch()
    found = made(one).terms
    student = made.learners["student"](one).logits
    teacher = tap("teacher.0", 1).eval()(one).logits
    torch.testing.assert_close(found["at"], 1.5 * (student - teacher).square().mean())
    torch.testing.assert_close(found["kd"], 1.5 * kd_loss(student, teacher, 4.0))


def test_of_many_teachers_a_line_names_those_that_are_skipped():
    class Many(Scheme):
        def lesson(self, outputs):
            student, *teachers = outputs.values()
            rich = replace(teachers[-1], heads=teachers[-1].logits)
            student = replace(student, heads=student.logits)
            pairs = tuple(Pair(student, t, 1 / 6) for t in (*teachers[:-1], rich))
            return Lesson((Learner(student),), pairs)

    names = [f"teacher.{i}" for i in range(6)]
    teachers = {name: Plain(tap(name, 1)).eval() for name in names}
    made = distiller(Many(), [term("at", NeedsHeads())], **plain() | {"teachers": teachers}).eval()
    first = ", ".join(f"student with {name}" for name in names[:3])
    assert made.skipped == [
        f"at skips {first} and 2 more: no heads; the other pairs count for them, too"
    ]
    one = batch()
    student, teacher = (m(one).logits for m in (made.learners["student"], teachers[names[5]]))
    found = made(one).terms["at"]
    torch.testing.assert_close(found, (student - teacher).square().mean())


def test_a_learner_may_be_called_as_the_report_calls_it():
    distiller(Alone(), [], {}, learners={"student": tap(), "peer.1": tap("peer.1", 2)})
