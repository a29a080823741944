"""Networks that learn together: who imitates whom, what ships, and what the paper's numbers say."""

import pytest
import torch.nn.functional as F
from check_values import LABELS
from check_values import STUDENT_LOGITS as STUDENT
from check_values import TEACHER_LOGITS as TEACHER
from torch import nn

from kdcli.core.records import Outputs
from kdcli.methods.kd import kd_loss
from kdcli.models.model_args import ModelArgs
from kdcli.schemes.mutual import Mutual

PEERS = {"student": STUDENT, "peer.1": TEACHER, "peer.2": STUDENT.flip(1)}


def lesson(peers):
    return Mutual(peers=len(peers)).lesson({by: Outputs(by, z) for by, z in peers.items()})


def loss_of(one, peers):
    """Of one network alone: its labels, and what it is to imitate."""
    found = lesson(peers)
    (learner,) = [each for each in found.learners if each.outputs.by == one]
    pairs = [pair for pair in found.pairs if pair.student.by == one]
    return learner.weight * F.cross_entropy(learner.outputs.logits, LABELS) + sum(
        pair.weight * kd_loss(pair.student.logits, pair.teacher.logits, 1.0) for pair in pairs
    )


def test_two_networks():
    two = {name: PEERS[name] for name in ("student", "peer.1")}
    # the authors' program adds 1e-8 to each probability before it takes logarithms
    assert loss_of("student", two) - F.cross_entropy(STUDENT, LABELS) == pytest.approx(
        2.3659055806, abs=2e-6
    )


def test_three_networks_take_the_mean_over_their_peers():
    assert loss_of("student", PEERS).item() == pytest.approx(5.5003489936, abs=1e-8)


def test_everyone_learns_from_labels_and_from_everyone_else():
    found = lesson(PEERS)
    assert [(one.outputs.by, one.weight) for one in found.learners] == [(p, 1.0) for p in PEERS]
    pairs = {(pair.student.by, pair.teacher.by): pair.weight for pair in found.pairs}
    assert pairs == {(one, other): 0.5 for one in PEERS for other in PEERS if one != other}


def test_only_networks_built_like_the_student_may_ship():
    class Built(nn.Module):
        def __init__(self, name):
            super().__init__()
            self.args = ModelArgs(name, 10, 32)

    models = {"student": Built("a"), "peer.1": Built("b"), "peer.2": Built("a")}
    assert list(Mutual().ships(models, {})) == ["student", "peer.2"]
    assert Mutual().beside(models, {}) == models
