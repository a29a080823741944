"""Several heads on one trunk, several copies side by side, and their one answer."""

from dataclasses import replace

import pytest
import torch

from kdcli.core.errors import UnmetNeeds, UsageError
from kdcli.core.records import Batch
from kdcli.deploy.onnx_file.session import open_session
from kdcli.deploy.onnx_file.write import export_onnx
from kdcli.evaluation.cost import costs
from kdcli.models.build import build, build_meta, plan, seeded
from kdcli.models.head_only import embed
from kdcli.models.heads import answering
from kdcli.models.model_args import ModelArgs
from kdcli.models.route import View
from kdcli.models.tap import Tap

ONE = ModelArgs("test_resnet", 5, 32)
HEADS = replace(ONE, heads=3, weights=(0.5, 0.25, 0.25))
COPIES = replace(ONE, copies=3, weights=(0.5, 0.25, 0.25))


def built(args):
    with seeded(0, "student"):
        return build(args).eval()


def batch(n=4):
    images = torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    zeros = torch.zeros(n, dtype=torch.int64)
    return Batch(images, zeros, torch.zeros(n, 5), zeros, zeros)


def answer(args, module=None):
    with torch.no_grad():
        return Tap(module or built(args), args, "student").eval()(batch())


def mean_of(members):
    """(B, K): the weighted mean of (B, M, K) softened logits."""
    weights = torch.tensor(HEADS.panel.weights).view(1, -1, 1)
    return (weights * members.softmax(2)).sum(1)


def test_the_trunk_is_that_of_the_model_with_one_head():
    one, several = built(ONE).state_dict(), built(HEADS).state_dict()
    assert list(one) == list(several)
    changed = {key for key in one if not torch.equal(one[key], several[key])}
    assert changed == {"fc.weight", "fc.bias"}
    assert several["fc.weight"].shape[0] == 15


def test_copies_differ_and_the_state_dict_counts_them():
    module = built(COPIES)
    first, second = (module[i].state_dict() for i in (0, 1))
    assert {key.partition(".")[0] for key in module.state_dict()} == {"0", "1", "2"}
    assert not torch.equal(first["fc.weight"], second["fc.weight"])
    assert not torch.equal(first["conv1.0.weight"], second["conv1.0.weight"])


@pytest.mark.parametrize("args", [HEADS, COPIES], ids=["heads", "copies"])
def test_they_survive_model_pt(args):
    found = ModelArgs.from_dict(args.as_dict() | {"weights": [0.5, 0.25, 0.25]})
    assert found == args
    build(found).load_state_dict(built(args).state_dict())


def test_files_of_before_have_one_head():
    old = {k: v for k, v in ONE.as_dict().items() if k not in ("heads", "copies", "weights")}
    assert ModelArgs.from_dict(old) == ONE


@pytest.mark.parametrize(
    "wrong", [{"heads": 2, "copies": 2}, {"heads": 2, "weights": (1.0,)}, {"heads": 0}]
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(UsageError, match="no such model"):
        replace(ONE, **wrong)


def test_costs_count_every_head_and_every_copy():
    one, heads, copies = costs(ONE), costs(HEADS), costs(COPIES)
    head = sum(p.numel() for p in build_meta(ONE).fc.parameters())
    assert heads["params"] == one["params"] + 2 * head
    assert copies == {key: 3 * value for key, value in one.items()}


# The answer --------------------------------------------------------------------------------------


def test_heads_answer_as_the_mean_of_their_probabilities():
    found = answer(HEADS)
    assert found.heads.shape == (4, 3, 5)
    torch.testing.assert_close(found.logits.softmax(1), mean_of(found.heads))


def test_copies_answer_as_the_mean_of_theirs():
    module = built(COPIES)
    members = torch.stack([answer(ONE, member).logits for member in module], 1)
    torch.testing.assert_close(answer(COPIES, module).logits.softmax(1), mean_of(members))


def test_the_classifier_over_the_embedding_is_the_answer():
    tap = Tap(built(HEADS), HEADS, "teacher.0").eval()
    tap.show(View(embedding=True), batch(2).images)
    assert tap.route.linear
    with torch.no_grad():
        found = tap(batch())
        torch.testing.assert_close(tap.classifier(found.embedding), found.logits)


def test_parts_of_the_copies_are_known():
    tap = Tap(built(replace(COPIES, name="test_vit")), COPIES, "student")
    assert {"0.pos_embed", "2.cls_token"} <= tap.exempt()
    outside = set(dict(tap.module.named_parameters())) - tap.trunk()
    assert outside == {f"{i}.head.{kind}" for i in range(3) for kind in ("weight", "bias")}


@pytest.mark.slow
@pytest.mark.parametrize("args", [HEADS, COPIES], ids=["heads", "copies"])
def test_the_exported_answer_is_the_exact_mean(args, tmp_path):
    module = answering(built(args), args)
    path = tmp_path / "model.onnx"
    export_onnx(module, path, input_size=(32, 32), metadata={})
    session, images = open_session(path), torch.rand(7, 3, 32, 32)
    with torch.no_grad():
        expected = module(images)
        if args.heads > 1:
            mean = mean_of(module[0](images).unflatten(1, (3, 5)))
            torch.testing.assert_close(expected.exp(), mean, atol=1e-6, rtol=0)
    for size in (1, 7):
        found = torch.from_numpy(session(images[:size].numpy()))
        torch.testing.assert_close(found, expected[:size], atol=1e-5, rtol=0)
        torch.testing.assert_close(found.exp().sum(1), torch.ones(size))


# What they cannot ---------------------------------------------------------------------------------


def test_copies_show_nothing_but_their_answer():
    tap = Tap(built(COPIES), COPIES, "teacher.0")
    with pytest.raises(UnmetNeeds, match="nothing is shown but the answer"):
        tap.show(View(embedding=True), batch().images)
    with pytest.raises(UnmetNeeds, match="nothing is shown but the answer"):
        _ = tap.stages


def test_a_distillation_token_and_several_heads_do_not_meet():
    args = replace(plan("deit_tiny_distilled_patch16_224", 5, 32, None), heads=2)
    with pytest.raises(UnmetNeeds, match="distillation head has no teacher"):
        Tap(build_meta(args), args, "student").show(View(heads=True), batch().images)


@pytest.mark.parametrize("args", [HEADS, COPIES], ids=["heads", "copies"])
def test_one_classifier_is_fitted_alone_not_more(args):
    with pytest.raises(UsageError, match="several heads or copies"):
        embed(Tap(built(args), args, "student"), [batch()], torch.device("cpu"))
