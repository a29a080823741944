"""Contrastive representation distillation on numbers, and the memory behind it."""

import pytest
import torch
import torch.nn.functional as F
from check_values import (
    STUDENT_EMBEDDING,
    TOLERANCE,
    WIDE_TEACHER_EMBEDDING,
    agrees_with_finite_differences,
    wave,
)

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import About, Batch, Outputs
from kdcli.methods.crd import CRD, WIDTH, crd_loss, crd_normaliser, crd_scores, renewed

N = 10
OWN = torch.arange(4)
NEGATIVES = [[4, 5, 6, 7], [8, 9, 4, 5], [6, 7, 8, 9], [4, 6, 8, 5]]
NEGATIVE = torch.zeros(4, N, dtype=torch.bool).scatter(1, torch.tensor(NEGATIVES), True)
STUDENT_BANK = F.normalize(wave((N, 3), torch.sin, 0.3, 0.2))
TEACHER_BANK = F.normalize(wave((N, 3), torch.cos, 0.5))


def projected(embedding):
    """Length 1, behind a linear layer W = sin(n), b = 0.1."""
    return F.normalize(embedding @ wave((3, embedding.shape[1]), torch.sin, 1.0).T + 0.1)


STUDENT, TEACHER = projected(STUDENT_EMBEDDING), projected(WIDE_TEACHER_EMBEDDING)


def scored(student, teacher):
    """Scores of both sides, and their normalisers."""
    scores = (
        crd_scores(student, TEACHER_BANK[OWN], TEACHER_BANK, 0.07),
        crd_scores(teacher, STUDENT_BANK[OWN], STUDENT_BANK, 0.07),
    )
    return scores, [crd_normaliser(s, NEGATIVE, N).detach() for s in scores]


def loss(student, teacher):
    scores, normalisers = scored(student, teacher)
    return crd_loss(scores[0] / normalisers[0], scores[1] / normalisers[1], NEGATIVE, N)


def batch(index):
    rows = torch.as_tensor(index)
    return Batch(torch.zeros(len(rows), 3, 2, 2), rows, torch.zeros(len(rows), 3), rows, rows)


def about(labels=None, n=N):
    return About(3, n, 1, labels=labels)


def pair(images=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mine = torch.randn(images, 5, generator=generator, requires_grad=True)
    theirs = torch.randn(images, 7, generator=generator)
    zeros = torch.zeros(images, 3)
    return Outputs("student", zeros, embedding=mine), Outputs("t", zeros, embedding=theirs)


def memory(method=None, known=None, seed=0):
    torch.manual_seed(seed)
    return (method or CRD()).adapter(*pair(), known or about())


# The numbers -------------------------------------------------------------------------------------


def test_check_values():
    _, (first, second) = scored(STUDENT, TEACHER)
    assert abs(float(first) - 1023874.4) < 0.05
    assert abs(float(second) - 259792.18) < 0.005
    assert abs(float(loss(STUDENT, TEACHER)) - 25.6452556273) < TOLERANCE
    row = renewed(STUDENT_BANK[OWN], STUDENT, 0.5)[0]
    expected = torch.tensor([0.4172035, 0.7773451, 0.4708247], dtype=torch.float64)
    torch.testing.assert_close(row, expected, atol=1e-7, rtol=0)


def test_gradient_agrees_with_finite_differences():
    # the normalisers are constants, whatever the student says
    _, (first, second) = scored(STUDENT, TEACHER)

    def of_student(student):
        scores, _ = scored(student, TEACHER)
        return crd_loss(scores[0] / first, scores[1] / second, NEGATIVE, N)

    assert agrees_with_finite_differences(of_student, STUDENT)


def test_images_that_do_not_count_change_nothing():
    scores, (first, second) = scored(STUDENT, TEACHER)
    counts = torch.cat([torch.ones(4, 1, dtype=torch.bool), NEGATIVE], 1)
    changed = [torch.where(counts, s, 7 * s) for s in scores]
    torch.testing.assert_close(
        crd_loss(changed[0] / first, changed[1] / second, NEGATIVE, N), loss(STUDENT, TEACHER)
    )


def test_it_pays_to_be_near_ones_own_row_and_far_from_others():
    good = F.normalize(TEACHER_BANK[OWN] - 0.2 * TEACHER_BANK[4:].mean(0))
    assert float(loss(good, TEACHER)) < float(loss(STUDENT, TEACHER))
    assert float(loss(-good, TEACHER)) > float(loss(good, TEACHER))


# The memory --------------------------------------------------------------------------------------


def test_a_training_step_remembers_what_it_saw_and_a_probe_does_not():
    made, (student, teacher), index = memory(), pair(), [7, 2, 9, 0]
    before = {key: value.clone() for key, value in made.state_dict().items()}
    with torch.no_grad():
        CRD().loss(student, teacher, batch(index), made)
    CRD().loss(student, teacher, batch(index), made.eval())
    assert all(torch.equal(before[key], value) for key, value in made.state_dict().items())
    CRD().loss(student, teacher, batch(index), made.train())
    mine, theirs = (F.normalize(e) for e in made.projections(student.embedding, teacher.embedding))
    for bank, seen in (("student_bank", mine), ("teacher_bank", theirs)):
        expected = renewed(before[bank][index], seen, 0.5)
        torch.testing.assert_close(getattr(made, bank)[index], expected)
        others = [1, 3, 4, 5, 6, 8]
        assert torch.equal(getattr(made, bank)[others], before[bank][others])


def test_normalisers_are_those_of_the_first_step():
    made = memory()
    assert made.normalisers.tolist() == [0, 0]
    CRD().loss(*pair(), batch([0, 1, 2, 3]), made)
    first = made.normalisers.clone()
    assert (first > 0).all()
    CRD().loss(*pair(seed=1), batch([4, 5, 6, 7]), made)
    assert torch.equal(made.normalisers, first)


def test_gradients_reach_student_and_both_layers():
    made, (student, teacher) = memory(known=about(torch.arange(N) % 3)), pair()
    for _ in range(2):  # the memory is written to between forward and backward
        CRD().loss(student, teacher, batch([0, 1, 2, 3]), made).backward()
    parameters = list(made.parameters())
    assert {tuple(p.shape) for p in parameters} == {(WIDTH, 5), (WIDTH, 7), (WIDTH,)}
    for gradient in (student.embedding.grad, *(p.grad for p in parameters)):
        assert torch.isfinite(gradient).all()
        assert float(gradient.abs().max()) > 0


def test_a_state_dict_round_trip_keeps_the_memory():
    known = about(torch.arange(N) % 3)
    made, fresh = memory(known=known), memory(known=known, seed=1)
    CRD().loss(*pair(), batch([0, 1, 2, 3]), made)
    assert {"student_bank", "teacher_bank", "normalisers"} <= made.state_dict().keys()
    fresh.load_state_dict(made.state_dict())
    found = [CRD().loss(*pair(seed=1), batch([4, 5, 6, 7]), one) for one in (made, fresh)]
    assert torch.equal(*found)
    assert torch.equal(made.student_bank, fresh.student_bank)


def test_an_image_that_stands_twice_in_a_batch_is_remembered_in_any_order():
    student, teacher = pair()
    made, turned = memory(), memory()
    CRD().loss(student, teacher, batch([5, 3, 5, 5]), made)
    order = [2, 1, 3, 0]
    mine, theirs = student.embedding[order], teacher.embedding[order]
    zeros = student.logits
    again = Outputs("student", zeros, embedding=mine), Outputs("t", zeros, embedding=theirs)
    CRD().loss(*again, batch([5, 3, 5, 5]), turned)
    torch.testing.assert_close(turned.student_bank, made.student_bank)


# Negatives ---------------------------------------------------------------------------------------


def seen_negatives(monkeypatch, method, known, index, seed=0):
    """The boolean mask that the loss is handed."""
    seen = []

    def spy(scores, negative, num_samples):
        seen.append(negative)
        return crd_normaliser(scores, negative, num_samples)

    monkeypatch.setattr("kdcli.methods.crd.crd_normaliser", spy)
    made = memory(method, known)
    torch.manual_seed(seed)
    method.loss(*pair(len(index)), batch(index), made)
    return seen[0]


def test_negatives_are_of_other_classes(monkeypatch):
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    found = seen_negatives(monkeypatch, CRD(), about(labels), [0, 1, 2, 4])
    assert torch.equal(found, labels[[0, 1, 2, 4], None] != labels)


@pytest.mark.parametrize(
    ("method", "labels"),
    [
        (CRD(other_classes=False), torch.zeros(N, dtype=torch.int64)),
        (CRD(), None),
        (CRD(), torch.full((N,), -1)),
    ],
    ids=["not asked for", "no labels", "labels unknown"],
)
def test_without_classes_all_others_are_negatives(monkeypatch, method, labels):
    found = seen_negatives(monkeypatch, method, about(labels), [0, 1, 2, 4])
    assert torch.equal(found, torch.tensor([0, 1, 2, 4])[:, None] != torch.arange(N))


def test_as_many_are_drawn_as_were_asked_for_or_exist():
    few = memory(CRD(negatives=4))
    torch.manual_seed(3)
    first, second = few._draw(), few._draw()
    torch.manual_seed(3)
    assert torch.equal(few._draw(), first), "a resumed run draws the same"
    assert not torch.equal(first, second)
    assert len(set(first.tolist())) == 4
    assert memory()._draw().tolist() == list(range(N))


def test_options_are_put_to_use():
    def found(**options):
        made = memory(CRD(**options))
        return float(CRD(**options).loss(*pair(), batch([0, 1, 2, 3]), made).detach()), made

    usual, made = found()
    assert found(temperature=1.0)[0] != usual
    assert found(negatives=3)[0] != usual
    kept = found(momentum=0.99)[1].student_bank
    before = memory().student_bank
    start = F.normalize(before)
    near = F.cosine_similarity(kept[:4], start[:4]).min()
    assert near > F.cosine_similarity(made.student_bank[:4], start[:4]).max()


def test_images_that_come_one_by_one_are_refused():
    with pytest.raises(UnmetNeeds, match="one by one"):
        CRD().check(*pair(1), About(3, 2, 1, smallest_batch=1))
