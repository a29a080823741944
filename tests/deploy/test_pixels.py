"""A file that takes pixels: against numpy and Pillow, and with a batch that never changes."""

from itertools import chain
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from sklearn.datasets import load_sample_images
from torch import nn

from kdcli.core.errors import UsageError
from kdcli.data.images import fit
from kdcli.deploy.onnx_file.pixels import Front, takes_any_size, takes_pixels, with_pixels
from kdcli.deploy.onnx_file.read import load, messages
from kdcli.deploy.onnx_file.session import Session, open_session
from kdcli.deploy.onnx_file.write import export_onnx, write
from kdcli.models.build import build, plan
from kdcli.models.tap import Tap

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Means(nn.Module):
    """Mean and largest value of each channel."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([images.mean((2, 3)), images.amax((2, 3))], 1)


class Whole(nn.Module):
    """Every pixel of a channel is a class."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) * 40


def core_of(
    module: nn.Module, folder: Path, size: int, batch: int | None = None
) -> onnx.ModelProto:
    export_onnx(module, folder / "core.onnx", input_size=(size, size), batch=batch)
    return load(folder / "core.onnx")


def opened(proto: onnx.ModelProto, folder: Path) -> Session:
    write(proto, folder / "model.onnx", {})
    return open_session(folder / "model.onnx")


def normalised(pixels: np.ndarray) -> np.ndarray:
    ready = (pixels / 255 - np.array(MEAN)) / np.array(STD)
    return ready.transpose(0, 3, 1, 2)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(1, keepdims=True)
    return shares


def images_of(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, height, width, 3), np.uint8)


PHOTOS = load_sample_images().images
"""Two of 427 x 640 pixels."""
CROPS = {
    "landscape": PHOTOS[0],
    "portrait": PHOTOS[1].transpose(1, 0, 2),
    "odd": PHOTOS[1][:201, :133],
    "smaller": PHOTOS[0][100:137, 100:123],
    "half": PHOTOS[0][::4, ::4][:64, :64],
    "strip": PHOTOS[0][:5, :400],
    "a pixel": PHOTOS[0][:1, :1],
    "noise": images_of(1, 301, 203)[0],
}


# Pixels ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 7])
def test_pixels_in_probabilities_out(count: int, tmp_path: Path) -> None:
    core = core_of(Means(), tmp_path, 8)
    session = opened(with_pixels(core, Front(8, MEAN, STD)), tmp_path)
    assert (session.takes.name, session.takes.dtype) == ("pixels", "uint8")
    assert session.takes.shape == ("batch", 8, 8, 3)
    assert takes_pixels(session.takes)
    assert not takes_any_size(session.takes)
    assert session.gives_probabilities
    pixels = images_of(count, 8, 8)
    ready = normalised(pixels)
    expected = softmax(np.concatenate([ready.mean((2, 3)), ready.max((2, 3))], 1))
    answers = session(pixels)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, expected, atol=1e-6)


def test_the_core_is_left_as_it_was(tmp_path: Path) -> None:
    core = core_of(Means(), tmp_path, 8)
    before = core.SerializeToString()
    with_pixels(core, Front(8, MEAN, STD))
    assert core.SerializeToString() == before
    session = opened(core, tmp_path)
    assert not session.gives_probabilities
    assert not takes_pixels(session.takes)


@pytest.mark.parametrize(("image_size", "input_size"), [(32, 64), (64, 32), (37, 32)])
def test_another_size_than_the_models(image_size: int, input_size: int, tmp_path: Path) -> None:
    """As the tap resizes for PyTorch."""
    args = plan("test_resnet", 3, input_size, None)
    tap = Tap(build(args), args, "")
    core = core_of(Whole(), tmp_path, input_size)
    dressed = with_pixels(core, Front(image_size, args.mean, args.std))
    pixels = np.stack([fit(photo, image_size) for photo in PHOTOS])
    ready = tap.prepare(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
    expected = softmax(Whole()(ready).double().numpy())
    np.testing.assert_allclose(opened(dressed, tmp_path)(pixels), expected, atol=1e-4)


# Images of any size ------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "crop_pct"), [(32, 1.0), (64, 0.77), (224, 0.875)])
def test_resized_as_pillow_does(size: int, crop_pct: float, tmp_path: Path) -> None:
    """At most 1 of 255 apart, and that hardly anywhere: where Pillow's own fixed point rounds."""
    core = core_of(nn.Flatten(), tmp_path, size)
    dressed = with_pixels(core, Front(size, (0, 0, 0), (1, 1, 1), True, crop_pct))
    dressed.graph.output[0].name = "logits"  # in front of the softmax
    del dressed.graph.node[-1]
    session = opened(dressed, tmp_path)
    assert session.takes.shape == ("batch", "height", "width", 3)
    assert takes_any_size(session.takes)
    for name, image in CROPS.items():
        pixels = session(image[None]).reshape(3, size, size).transpose(1, 2, 0) * 255
        apart = np.abs(pixels - fit(image, size, crop_pct))
        assert apart.max() <= 1.001, name
        assert (apart > 0.5).mean() < 1e-3, name


@pytest.mark.slow
def test_a_quantised_core_is_dressed_too(tmp_path: Path) -> None:
    """onnxruntime rewrites graphs of quantised nodes more boldly than others."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Noise(CalibrationDataReader):  # type: ignore[misc]
        left = 2

        def get_next(self) -> dict[str, np.ndarray] | None:
            self.left -= 1
            return {"images": normalised(images_of(4, 32, 32)).astype("f")} if self.left else None

    args = plan("test_resnet", 5, 32, None)
    core_of(build(args), tmp_path, 32)
    quantize_static(tmp_path / "core.onnx", tmp_path / "int8.onnx", Noise(), per_channel=True)
    core = open_session(tmp_path / "int8.onnx")
    front = Front(32, MEAN, STD, resize=True)
    answers = opened(with_pixels(load(tmp_path / "int8.onnx"), front), tmp_path)(PHOTOS[0][None])
    ready = normalised(fit(PHOTOS[0], 32)[None]).astype(np.float32)
    np.testing.assert_allclose(answers, softmax(core(ready)), atol=0.01)


def test_several_images_of_one_size(tmp_path: Path) -> None:
    core = core_of(Means(), tmp_path, 8)
    session = opened(with_pixels(core, Front(8, MEAN, STD, resize=True)), tmp_path)
    pixels = images_of(3, 19, 12)
    together = session(pixels)
    np.testing.assert_allclose(together, np.concatenate([session(p[None]) for p in pixels]))


@pytest.mark.parametrize(("image_size", "resize", "refused"), [(8, 0, 0), (9, 0, 1), (8, 1, 1)])
def test_an_opset_that_cannot_resize(
    image_size: int, resize: int, refused: int, tmp_path: Path
) -> None:
    core = core_of(Means(), tmp_path, 8)
    core.opset_import[0].version = 17
    front = Front(image_size, MEAN, STD, bool(resize))
    if not refused:
        with_pixels(core, front)
        return
    with pytest.raises(UsageError, match="opset 17 cannot resize"):
        with_pixels(core, front)


# A batch that never changes ----------------------------------------------------------------------


def symbols(proto: onnx.ModelProto) -> set[str]:
    """Words in place of numbers, in any shape of the graph."""
    graph = proto.graph
    values = chain(graph.input, graph.output, graph.value_info)
    return {
        part.dim_param
        for value in values
        for part in messages(value)
        if isinstance(part, onnx.TensorShapeProto.Dimension) and part.dim_param
    }


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.slow
def test_a_static_batch(name: str, batch: int, tmp_path: Path) -> None:
    args = plan(name, 5, 32, None)
    module = build(args)
    core = core_of(module, tmp_path, 32, batch)
    for proto in (core, with_pixels(core, Front(32, args.mean, args.std))):
        assert symbols(proto) == set()
        assert not {"Shape", "Size"} & {node.op_type for node in proto.graph.node}
    session = opened(core, tmp_path)
    assert session.takes.shape == (batch, 3, 32, 32)
    images = np.random.default_rng(0).normal(size=(6, 3, 32, 32)).astype(np.float32)
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(session(images), expected, atol=1e-4)


def test_a_static_batch_of_images_of_any_size(tmp_path: Path) -> None:
    """Height and width are all that is left open."""
    core = core_of(Means(), tmp_path, 8, 2)
    dressed = with_pixels(core, Front(8, MEAN, STD, resize=True))
    assert symbols(dressed) == {"height", "width"}
    assert opened(dressed, tmp_path)(images_of(3, 19, 12)).shape == (3, 6)
