"""One head per teacher: the paper's number, which head has which teacher, and real models."""

import pytest
import torch
from check_values import LABELS
from check_values import STUDENT_LOGITS as STUDENT
from check_values import TEACHER_LOGITS as TEACHER

from kdcli.core.errors import UnmetNeeds
from kdcli.core.functional import as_one
from kdcli.core.progress import Silent
from kdcli.core.records import Batch, Outputs
from kdcli.methods.kd import kd_loss
from kdcli.plan.data import open_data
from kdcli.plan.job import Shared
from kdcli.plan.lineage import Roles, distill_spec
from kdcli.plan.names import Start
from kdcli.recipe.load import load_recipe
from kdcli.schemes.average import Average
from kdcli.schemes.mimic_all import MimicAll
from kdcli.training.build import assemble
from kdcli.training.losses import task_loss
from kdcli.training.site import Site

HEADS = torch.stack([STUDENT, STUDENT.flip(0)], 1)
TEACHERS = TEACHER, TEACHER.flip(1)


def lesson(scheme, heads=HEADS, teachers=TEACHERS, **more):
    logits = as_one(heads, scheme.panel(len(teachers)))
    outputs = {"student": Outputs("student", logits, heads=heads, **more)}
    outputs |= {f"teacher.{i}": Outputs(f"teacher.{i}", t) for i, t in enumerate(teachers)}
    return scheme.lesson(outputs)


def kd_of(found):
    return sum(p.weight * kd_loss(p.student.logits, p.teacher.logits, 1.0) for p in found.pairs)


def test_the_paper_s_loss():
    found = lesson(MimicAll())
    targets = torch.nn.functional.one_hot(LABELS, 6).double()
    task = task_loss(found.learners, Batch(None, LABELS, targets, None, None))
    assert (0.25 * task + 0.75 * kd_of(found)).item() == pytest.approx(2.5772417193, abs=1e-8)


def test_one_teacher_without_labels_is_kd():
    found = lesson(MimicAll(), STUDENT[:, None], TEACHERS[:1])
    assert kd_of(found).item() == pytest.approx(kd_loss(STUDENT, TEACHER, 1.0).item(), abs=1e-12)
    assert MimicAll().student_args(1) == {}
    assert [pair.weight for pair in found.pairs] == [1]


def test_every_head_has_its_teacher_and_all_of_the_trunk():
    features, embedding = (torch.zeros(4, 2, 3, 3),), torch.zeros(4, 7)
    found = lesson(MimicAll(weights=(3, 1)), stages=features, embedding=embedding)
    assert [(p.student.by, p.teacher.by, p.weight) for p in found.pairs] == [
        ("student@head.0", "teacher.0", 0.75),
        ("student@head.1", "teacher.1", 0.25),
    ]
    for h, pair in enumerate(found.pairs):
        assert torch.equal(pair.student.logits, HEADS[:, h])
        assert pair.student.stages is features
        assert pair.student.embedding is embedding


def test_the_student_has_the_heads_that_its_teachers_ask_for():
    found = MimicAll(weights=(3, 1), aggregate="logits").student_args(2)
    assert found == {"heads": 2, "weights": (0.75, 0.25), "aggregate": "logits"}
    with pytest.raises(UnmetNeeds, match=r"scheme\.weights has 2 for 3 teachers"):
        MimicAll(weights=(3, 1)).student_args(3)


def test_both_schemes_read_weights_alike():
    assert MimicAll(weights=(3, 1)).panel(2) == Average(weights=(3, 1)).panel(2)


# Real models -------------------------------------------------------------------------------------


def ready(teachers):
    """On digits, taught by so many untrained teachers."""
    source, data = open_data("digits", Silent(), surveyed=False)
    settings = ("train.batch_size=16", "methods.at.weight=1", "methods.rkd.weight=1")
    one = ("teacher.seeds=1", "teacher.subset=1.0")
    loaded, cpu = load_recipe("mimic_all", (*settings, *one)), torch.device("cpu")
    spec = distill_spec(
        Roles(("test_resnet",), Start("test_efficientnet")), Shared(loaded, source, data, cpu)
    )
    (first,) = spec.teachers
    others = [first.spec.model_copy(update={"seed": i}) for i in range(teachers)]
    refs = tuple(first.model_copy(update={"spec": other}) for other in others)
    spec = spec.model_copy(update={"teachers": refs})
    return assemble(spec, Site(source, cpu, Silent()), [None] * teachers, rehearsal=True)


def test_a_step_teaches_every_head_and_features_as_well():
    made = ready(2)
    assert (made.args.heads, made.args.num_classes) == (2, 10)
    assert not made.distiller.skipped
    losses = made.distiller(next(made.batches(0)))
    assert set(losses.terms) == {"task", "kd", "at", "rkd"}
    losses.total.backward()
    (last,) = (p for n, p in made.distiller.named_parameters() if n.endswith("classifier.weight"))
    assert last.shape[0] == 20
    assert last.grad.unflatten(0, (2, 10)).abs().sum((1, 2)).all()


def test_with_one_teacher_the_student_is_the_plain_one():
    made, state = ready(1), ready(2).distiller.state_dict()
    plain = made.distiller.state_dict()
    assert made.args == made.args.single
    changed = {key for key in plain if not torch.equal(plain[key], state[key])}
    assert {key.removeprefix("learners.student.module.") for key in changed} == {
        "classifier.weight",
        "classifier.bias",
    }
