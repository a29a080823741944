"""Views of images, and maps carried between them."""

import pytest
import torch

from kdcli.models.image_views import ImageView, largest, mean

AS_IS, FLIP = ImageView(), ImageView(flip=True)
FAR, NEAR = ImageView(scale=0.75), ImageView(scale=1.25)
IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def ramp(size=40):
    """A smooth map: interpolation is all but exact on it."""
    line = torch.linspace(0, 1, size)
    return (line[:, None] + 2 * line[None]).expand(2, size, size)


@pytest.mark.parametrize("view", [AS_IS, FLIP])
@pytest.mark.parametrize("maps", [IMAGES, IMAGES[:, 0]])
def test_there_and_back(view, maps):
    assert torch.equal(view.undo(view.turn(maps)), maps)


def test_a_mirror_image_has_left_and_right_exchanged():
    assert torch.equal(FLIP.turn(IMAGES), IMAGES.flip(3))
    assert torch.equal(FLIP.turn(IMAGES[:, 0]), IMAGES[:, 0].flip(2))


@pytest.mark.parametrize(
    "view", [FAR, NEAR, ImageView(scale=0.5), ImageView(flip=True, scale=1.25)]
)
def test_scaled_there_and_back_is_the_same_where_it_was_seen(view):
    back, seen = view.undo(view.turn(ramp())), view.undo(torch.ones(2, 40, 40)) == 1
    inside = seen.clone()
    inside[:, [0, -1]] = inside[:, :, [0, -1]] = False  # reflection bends a ramp at its ends
    assert seen.all() == (view.scale < 1)
    assert inside.sum() > 2 * 40 * 40 * 0.5
    assert (back - ramp())[inside].abs().max() < 0.02


def test_farther_away_is_smaller_amid_its_reflection():
    middle = torch.zeros(1, 1, 16, 16)
    middle[..., 4:12, 4:12] = 1
    assert FAR.turn(middle).sum() < middle.sum() < NEAR.turn(middle).sum()
    assert FAR.turn(torch.ones(1, 1, 16, 16)).min() == pytest.approx(1)
    assert FAR.turn(IMAGES).shape == NEAR.turn(IMAGES).shape == IMAGES.shape


@pytest.mark.parametrize("view", [AS_IS, FLIP, FAR, NEAR])
def test_images_stay_images_and_single_cells_what_they_are(view):
    turned = view.turn(IMAGES)
    assert 0 <= turned.min() <= turned.max() <= 1
    cell = torch.rand(2, 5, 1, 1)
    torch.testing.assert_close(view.turn(cell), cell)


def test_what_a_view_has_not_seen_counts_for_nothing():
    views = AS_IS, NEAR
    maps = ramp() + 1
    turned = [view.turn(maps) for view in views]
    assert (NEAR.undo(turned[1])[:, 0] == 0).all()
    assert (mean(views, turned) - maps).abs().max() < 0.02
    assert (largest(views, turned) - maps).abs().max() < 0.02


def test_the_mean_and_the_maximum_lie_on_the_image():
    one, other = IMAGES[:1], IMAGES[1:]
    turned = [one, FLIP.turn(other)]
    torch.testing.assert_close(mean((AS_IS, FLIP), turned), (one + other) / 2)
    assert torch.equal(largest((AS_IS, FLIP), turned), torch.maximum(one, other))


def test_names():
    assert [v.name for v in (AS_IS, FLIP, FAR, NEAR)] == ["", "flip", "scale_0.75", "scale_1.25"]
