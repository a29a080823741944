"""What rebuilds a module, as model.pt records it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor

from kdcli.core.errors import UsageError
from kdcli.core.records import Aggregate, Panel

Shape = tuple[int, int, int]
"""(C, h, w) of a map."""
Normalisation = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation per channel."""


def shape_of(maps: Tensor) -> Shape:
    """Of one of (B, C, h, w) maps."""
    _, channels, height, width = maps.shape
    return channels, height, width


@dataclass(frozen=True)
class ModelArgs:
    """What rebuilds a module, as model.pt records it.

    A field that comes later needs a default, with which the files of before mean what they meant.

    Raises:
        UsageError: fields that contradict each other; no such model.
    """

    name: str
    """timm's name."""
    num_classes: int
    input_size: int
    """Pixels of a side that the module is fed; images of another size are resized to it."""
    img_size: int | None = None
    """Constructor argument, for models that are built for one size."""
    stem_stride: int | None = None
    """Of the first strided convolution; None leaves timm's own."""
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """Of the normalisation, for RGB in [0, 1]. ImageNet's, where timm states none."""
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    options: dict[str, Any] = field(default_factory=dict)
    """Further constructor arguments, as a Hub config names them: text, numbers, booleans."""
    heads: int = 1
    """Classifiers on the one trunk: the last layer has heads x num_classes outputs."""
    copies: int = 1
    """Whole models side by side, which answer as one."""
    weights: tuple[float, ...] = ()
    """Of the heads or copies; their sum is 1."""
    aggregate: Aggregate = "probabilities"
    """How the heads or copies answer as one."""
    exit: int | None = None
    """The stage, an index of timm's `forward_intermediates`, at which the model ends early with a
    head of its own (`models.early_exits`); None: the whole model."""
    peers: tuple["ModelArgs", ...] = ()
    """Further networks, whose last maps are fused with its own into one answer."""
    maps: tuple[Shape, ...] = ()
    """(C, h, w) of those maps, its own first; of an exit, of the map that its head reads and of the
    model's last one. So building probes nothing."""

    def __post_init__(self) -> None:
        members = max(self.heads, self.copies)  # one of the two is 1
        if self.exit is not None and (members > 1 or self.peers or len(self.maps) != 2):
            raise UsageError(
                f"{self.name}: an exit with several heads, copies or peers, or without the shapes "
                "of its maps: no such model",
                "an exit has a head of its own, and one",
            )
        if min(self.heads, self.copies) != 1 or len(self.weights) not in (0, members):
            raise UsageError(
                f"{self.name}: {self.heads} heads, {self.copies} copies, {len(self.weights)} "
                "weights: no such model",
                "several heads, or several copies, and a weight for each or none",
            )
        if self.peers and not self._fuses:
            raise UsageError(
                f"{self.words}: networks that cannot be fused",
                "single networks, fed with images of one size, and a map of each",
            )

    @property
    def _fuses(self) -> bool:
        # one image, normalised for the first, goes to all of them: so their sizes must be equal
        single = self.heads == self.copies == 1 and all(one == one.single for one in self.peers)
        fed = {(one.input_size, one.num_classes) for one in self.networks}
        return single and len(fed) == 1 and len(self.maps) == len(self.networks)

    @property
    def single(self) -> "ModelArgs":
        """The same model once, whole and with one head."""
        alone: dict[str, Any] = {"exit": None, "peers": (), "maps": (), "weights": ()}
        return replace(self, heads=1, copies=1, aggregate="probabilities", **alone)

    @property
    def networks(self) -> tuple["ModelArgs", ...]:
        """Those that are fused, itself the first."""
        return self.single, *self.peers

    @property
    def words(self) -> str:
        """`resnet18`, `resnet18 + vgg11, fused`, `2 x resnet18`, `an exit of resnet18`.

        The bare name for one module of timm, however many heads it has, by which callers tell it
        from modules of kd.
        """
        if self.exit is not None:
            return f"an exit of {self.name}"
        if self.copies > 1:
            return f"{self.copies} x {self.name}"
        return " + ".join(one.name for one in self.networks) + ", fused" * bool(self.peers)

    @property
    def panel(self) -> Panel:
        """How its heads or copies answer as one."""
        if self.weights:
            return Panel(self.weights, self.aggregate)
        return Panel.even(max(self.heads, self.copies), self.aggregate)

    @property
    def normalisations(self) -> list[Normalisation]:
        """Mean and deviation of each network: a fused model is fed once, for its first."""
        return [(one.mean, one.std) for one in self.networks]

    def as_dict(self) -> dict[str, Any]:
        """Plain values alone, which `torch.load(weights_only=True)` reads."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> "ModelArgs":
        """What `as_dict` gave; JSON's lists are tuples again, and what is missing has its default.

        Raises:
            TypeError: other keys than ours.
            UsageError: options that are no plain constructor arguments.
        """
        tuples: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
        check_options(tuples.get("options", {}))
        tuples["peers"] = tuple(map(cls.from_dict, tuples.get("peers", ())))
        tuples["maps"] = tuple(map(tuple, tuples.get("maps", ())))
        return cls(**tuples)


_NOT_OPTIONS = {
    *("num_classes", "in_chans", "img_size", "features_only", "out_indices", "device", "dtype"),
    *("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "pretrained_model_args"),
    *("checkpoint_path", "cache_dir", "scriptable", "exportable", "no_jit"),
}
"""What kd sets itself, and what would fetch or read a file."""
LARGEST = 65_536
"""Number that may shape a model: a depth of a billion would be built for ever."""


def check_options(options: Mapping[str, Any]) -> None:
    """Raise UsageError for what is no plain constructor argument of a model.

    They come from somebody else's config.json, and go to timm as they are.
    """
    for key, value in options.items():
        plain = isinstance(value, str | bool)
        plain = plain or (isinstance(value, int | float) and abs(value) <= LARGEST)
        if key in _NOT_OPTIONS or not plain:
            raise UsageError(
                f"the model's argument {key}={value!r} is none that kd passes on",
                f"text, booleans and numbers up to {LARGEST:,} are taken, nothing else",
            )
