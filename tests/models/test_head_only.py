"""The classifier alone: embeddings, and what completes the model again."""

import pytest
import torch
from torch import nn

from kdcli.core.errors import UsageError
from kdcli.core.records import Batch
from kdcli.models.build import build, plan, seeded
from kdcli.models.head_only import classifier_name, embed, head_of
from kdcli.models.tap import Tap

CPU = torch.device("cpu")
NAMES = ("test_resnet", "test_efficientnet", "test_vit", "test_convnext", "mobilenetv3_small_050")


def tap_of(name, size=32):
    args = plan(name, 5, size, None)
    with seeded(0, "test"):
        return Tap(build(args), args, "student").eval()


def batch(n=4, size=32):
    images = torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(1))
    zeros = torch.zeros(n, dtype=torch.int64)
    return Batch(images, zeros, torch.zeros(n, 5), zeros, zeros)


@pytest.mark.parametrize("name", NAMES)
def test_the_classifier_over_the_embedding_is_the_model(name):
    tap = tap_of(name)
    vectors = embed(tap, [batch(), batch()], CPU)
    mean, std = vectors.mean(0) + 1, vectors.std(0) + 2
    head, _ = head_of(tap, mean, std)
    assert vectors.shape[0] == 8
    with torch.no_grad():
        expected = tap(batch()).logits
        found = head(Batch((vectors[:4] - mean) / std, *[None] * 4))
    torch.testing.assert_close(found.logits, expected, atol=1e-4, rtol=1e-4)
    assert found.by == "student"


@pytest.mark.parametrize("name", NAMES)
def test_what_was_learnt_completes_the_model(name):
    tap = tap_of(name)
    before = {key: value.clone() for key, value in tap.module.state_dict().items()}
    vectors = embed(tap, [batch()], CPU)
    mean, std = vectors.mean(0) + 1, vectors.std(0) + 2
    head, whole = head_of(tap, mean, std)
    with torch.no_grad():
        head.module.weight.add_(1)
        expected = head(Batch((vectors - mean) / std, *[None] * 4)).logits
    state = whole(head.state_dict())
    assert state.keys() == before.keys()
    changed = {key for key in before if not torch.equal(before[key], state[key])}
    name = classifier_name(tap.module)
    assert changed == {f"{name}.weight", f"{name}.bias"}
    tap.module.load_state_dict(state)
    with torch.no_grad():
        torch.testing.assert_close(tap(batch()).logits, expected, atol=1e-3, rtol=1e-3)


def test_a_model_with_more_behind_its_classifier_is_refused():
    class Doubled(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 5)

        def forward_features(self, x):
            return x.mean((2, 3))

        def forward_head(self, x, pre_logits=False):
            return x if pre_logits else 2 * self.fc(x)

        def forward(self, x):
            return self.forward_head(self.forward_features(x))

        def get_classifier(self):
            return self.fc

    args = plan("test_resnet", 5, 32, None)
    with pytest.raises(UsageError, match="train all of it"):
        embed(Tap(Doubled(), args, ""), [batch()], CPU)
