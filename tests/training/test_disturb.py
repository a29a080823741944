"""Teachers' answers, disturbed: a pure function of seed, image and place in the training."""

from dataclasses import replace

import pytest
import torch

from kdcli.core.errors import UnmetNeeds
from kdcli.core.records import Batch, Learner, Lesson, Outputs, Pair
from kdcli.methods.at import AT
from kdcli.methods.kd import KD
from kdcli.recipe.match import Disturbance
from kdcli.training.disturb import disturb, disturb_teachers, refuse_unread

IMAGES = 400


def rule(**kind):
    return Disturbance.model_validate(kind)


NOISY = rule(noise={"on": "logits", "scale": 0.5, "probability": 1.0})
MASKED = rule(mask={"share": 0.25})
DROPPED = rule(drop={"share": 0.25})


@pytest.fixture
def outputs():
    generator = torch.Generator().manual_seed(0)

    def of(*shape):
        return torch.randn(shape, generator=generator)

    maps = (of(IMAGES, 8, 6, 6) * torch.arange(1.0, 9).view(-1, 1, 1), of(IMAGES, 16, 3, 3))
    return Outputs(
        "teacher.0",
        3 * of(IMAGES, 10),
        stages=maps,
        embedding=of(IMAGES, 12) * torch.arange(1.0, 13),
        features=maps,
        preactivations=maps,
    )


def batch(index=None, epoch=1.25):
    rows = torch.arange(IMAGES) if index is None else torch.as_tensor(index)
    images = torch.zeros(len(rows), 3, 2, 2)
    return Batch(images, rows, torch.zeros(len(rows), 10), rows, rows, epoch)


def only(outputs, rows):
    return replace(
        outputs,
        logits=outputs.logits[rows],
        embedding=outputs.embedding[rows],
        features=tuple(f[rows] for f in outputs.features),
        preactivations=tuple(f[rows] for f in outputs.preactivations),
    )


# What the rules do -------------------------------------------------------------------------------


def test_without_rules_nothing_happens(outputs):
    assert disturb(outputs, batch(), 0, ()) is outputs


def test_noise_is_measured_by_the_logits_own_deviation(outputs):
    noise = disturb(outputs, batch(), 0, (NOISY,)).logits - outputs.logits
    assert float(noise.mean()) == pytest.approx(0, abs=0.1)
    assert float(noise.std()) == pytest.approx(0.5 * float(outputs.logits.std()), rel=0.05)


def test_noise_on_maps_is_measured_channel_by_channel(outputs):
    found = disturb(outputs, batch(), 0, (rule(noise={"on": "features", "probability": 1.0}),))
    for before, after in zip(outputs.features, found.features, strict=True):
        expected = 0.5 * before.std((0, 2, 3))
        torch.testing.assert_close((after - before).std((0, 2, 3)), expected, rtol=0.1, atol=0)


def test_noise_on_an_embedding_is_measured_dimension_by_dimension(outputs):
    found = disturb(outputs, batch(), 0, (rule(noise={"on": "embedding", "probability": 1.0}),))
    expected = 0.5 * outputs.embedding.std(0)
    torch.testing.assert_close(
        (found.embedding - outputs.embedding).std(0), expected, rtol=0.15, atol=0
    )


def test_noise_hits_an_image_with_its_probability_and_then_all_its_maps(outputs):
    found = disturb(outputs, batch(), 0, (rule(noise={"on": "features", "probability": 0.3}),))
    hit = [
        (after != before).flatten(1).any(1)
        for before, after in zip(outputs.features, found.features, strict=True)
    ]
    assert torch.equal(*hit)
    assert float(hit[0].float().mean()) == pytest.approx(0.3, abs=0.07)


def test_masked_cells_hold_the_mean_of_their_channel(outputs):
    found = disturb(outputs, batch(), 0, (MASKED,))
    for before, after in zip(outputs.features, found.features, strict=True):
        cells = (after != before).any(1, keepdim=True)
        assert float(cells.float().mean()) == pytest.approx(0.25, abs=0.03)
        mean = before.mean((2, 3), keepdim=True).expand_as(before)
        torch.testing.assert_close(after, mean.where(cells, before))


@pytest.mark.parametrize("on", ["features", "embedding"])
def test_dropped_channels_are_0_and_the_others_grow(outputs, on):
    found = disturb(outputs, batch(), 0, (rule(drop={"on": on, "share": 0.25}),))

    def answers(outputs):
        return outputs.features if on == "features" else (outputs.embedding,)

    for before, after in zip(answers(outputs), answers(found), strict=True):
        dropped = (after == 0).flatten(2).all(2) if on == "features" else after == 0
        assert float(dropped.float().mean()) == pytest.approx(0.25, abs=0.03)
        kept = (~dropped).view(*dropped.shape, *[1] * (before.ndim - 2))
        torch.testing.assert_close(after, before * kept / 0.75)


def test_preactivations_suffer_the_same_as_features(outputs):
    rules = (rule(noise={"on": "features"}), MASKED, DROPPED)
    found = disturb(outputs, batch(), 0, rules)
    for feature, preactivation in zip(found.features, found.preactivations, strict=True):
        assert torch.equal(feature, preactivation)


def test_what_a_rule_does_not_name_stays(outputs):
    for one, names in ((NOISY, {"logits"}), (MASKED, {"features", "preactivations"})):
        found = disturb(outputs, batch(), 0, (one,))
        for name in ("by", "logits", "stages", "embedding", "features", "preactivations"):
            assert (getattr(found, name) is not getattr(outputs, name)) == (name in names)


def test_rules_follow_one_another(outputs):
    mask_first = disturb(outputs, batch(), 0, (MASKED, DROPPED)).features[0]
    drop_first = disturb(outputs, batch(), 0, (DROPPED, MASKED)).features[0]
    assert not torch.equal(mask_first, drop_first)
    twice = disturb(outputs, batch(), 0, (NOISY, NOISY)).logits - outputs.logits
    once = disturb(outputs, batch(), 0, (NOISY,)).logits - outputs.logits
    cosine = torch.cosine_similarity(twice - once, once, dim=0).mean()
    assert abs(float(cosine)) < 0.2, "a second entry throws dice of its own"


def test_an_answer_that_is_not_there_is_left_out(outputs):
    bare = Outputs("teacher.0", outputs.logits)
    found = disturb(bare, batch(), 0, (rule(drop={"on": "embedding"}), MASKED))
    assert found.embedding is None
    assert found.features == ()


# A pure function ---------------------------------------------------------------------------------

RULES = (NOISY, rule(noise={"on": "features"}), MASKED, DROPPED, rule(drop={"on": "embedding"}))


def same(one, other):
    return torch.equal(one.logits, other.logits) and all(
        map(torch.equal, one.features, other.features)
    )


def test_the_same_again_without_the_global_generator(outputs):
    before, state = outputs.features[0].clone(), torch.get_rng_state()
    first = disturb(outputs, batch(), 0, RULES)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert same(disturb(outputs, batch(), 0, RULES), first)
    assert torch.equal(outputs.features[0], before)


@pytest.mark.parametrize("other", ["seed", "epoch", "index", "by"])
def test_everything_it_depends_on_counts(outputs, other):
    first = disturb(outputs, batch(), 0, RULES)
    again = {
        "seed": lambda: disturb(outputs, batch(), 1, RULES),
        "epoch": lambda: disturb(outputs, batch(epoch=1.5), 0, RULES),
        "index": lambda: disturb(outputs, batch(torch.arange(IMAGES) + 1), 0, RULES),
        "by": lambda: disturb(replace(outputs, by="teacher.1"), batch(), 0, RULES),
    }[other]()
    assert not same(first, again)


@pytest.mark.parametrize("one", [MASKED, DROPPED], ids=["mask", "drop"])
def test_an_image_does_not_depend_on_its_neighbours(outputs, one):
    whole = disturb(outputs, batch(), 0, (one,))
    rows = torch.tensor([7, 3, 250])
    alone = disturb(only(outputs, rows), batch(rows), 0, (one,))
    for large, small in zip(whole.features, alone.features, strict=True):
        assert torch.equal(large[rows], small)


def test_noise_does_not_depend_on_neighbours_but_for_their_deviation(outputs):
    rows = torch.tensor([7, 3, 250])

    def unit(outputs, batch):
        found = disturb(outputs, batch, 0, (NOISY,)).logits - outputs.logits
        return found / outputs.logits.std(correction=0)

    torch.testing.assert_close(
        unit(outputs, batch())[rows], unit(only(outputs, rows), batch(rows)), atol=1e-5, rtol=1e-4
    )


# Who is disturbed --------------------------------------------------------------------------------


def test_only_the_teachers_side_of_a_pair_is_disturbed(outputs):
    student = replace(outputs, by="student")
    lesson = Lesson((Learner(student),), (Pair(student, outputs), Pair(student, None, 0.5)))
    first, second = disturb_teachers(lesson, batch(), 0, (NOISY,)).pairs
    assert first.student is student
    assert not torch.equal(first.teacher.logits, outputs.logits)
    assert second.teacher is None
    assert second.weight == 0.5


def test_a_rule_on_what_no_method_reads_is_refused():
    refuse_unread((NOISY,), [AT(), KD()])
    refuse_unread((MASKED, DROPPED), [AT()])
    refuse_unread((), [])
    with pytest.raises(UnmetNeeds, match="the teacher's features, which no method here reads"):
        refuse_unread((NOISY, MASKED), [KD()])
