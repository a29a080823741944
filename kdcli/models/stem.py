"""The first strided convolution, for small images."""

from torch import nn

from kdcli.core.errors import UsageError


def set_stem_stride(model: nn.Module, stride: int) -> None:
    """Give the first strided convolution this stride; at stride 1 drop a max-pool right behind it.

    Stems are made for 224 pixels: of an image of 32, a ResNet's first stage sees 8 cells a side,
    and its last a single one. Keys of the state dict stay timm's own, and no weight changes its
    shape: pretrained ones fit. Layers are taken in the order in which they are registered, which in
    timm's stems is that of the pass.

    Raises:
        UsageError: the model has no strided convolution.
    """
    layers = [
        (name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.MaxPool2d)
    ]
    strided = (
        i for i, (_, m) in enumerate(layers) if isinstance(m, nn.Conv2d) and max(m.stride) > 1
    )
    first = next(strided, None)
    if first is None:
        raise UsageError(
            f"{type(model).__name__} has no strided convolution",
            "leave student.stem_stride / teacher.stem_stride at null",
        )
    convolution = layers[first][1]
    assert isinstance(convolution, nn.Conv2d)
    if convolution.kernel_size == convolution.stride:
        raise UsageError(
            f"{type(model).__name__} begins with patches; their stride is their size",
            "leave student.stem_stride / teacher.stem_stride at null",
        )
    convolution.stride = (stride, stride)
    if stride == 1 and first + 1 < len(layers) and isinstance(layers[first + 1][1], nn.MaxPool2d):
        model.set_submodule(layers[first + 1][0], nn.Identity())
