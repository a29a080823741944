"""How the images of one data set become RGB of 8 bits, where a file alone does not say.

One rule for a data set, found in its training images (`find_decoding`), and kept with every model
that learnt from them: in model.pt, and as text in the metadata of exported files.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

GREYS = {255: "white", 0: "black", 128: "grey"}
"""What transparent images can be put on: white is what most viewers show."""
INTEGERS = (1, *(2**bits - 1 for bits in (8, 10, 12, 14, 16, 24, 31)))
"""What may be white where integers have more than 8 bits: masks, bytes in wide files, cameras."""
FLOATS = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""The same of floating-point numbers."""
SLACK = 0.1
"""By this share of white floating-point pixels may lie outside 0 to white: resampling overshoots.
They are cut off; what lies further out is refused."""


@dataclass(frozen=True)
class Decoding:
    """What is behind transparent pixels, and which number is white in pixels of more than 8 bits.

    The defaults are those of images that need no rule.
    """

    background: int | None = 255
    """The grey level, one of `GREYS`; None: transparency is left out, as if it were not there."""
    integer_white: int = 65535
    """One of `INTEGERS`."""
    float_white: float = 1.0
    """One of `FLOATS`."""

    @property
    def words(self) -> tuple[str, ...]:
        """What differs from the defaults."""
        usual = Decoding()
        behind = "shown without it" if self.background is None else f"put on {self.behind}"
        return (
            *([f"transparency is {behind}"] * (self.background != usual.background)),
            *([f"integers: {self.integer_white:,} is white"] * (self.integer_white != 65535)),
            *([f"floats: {self.float_white:,g} is white"] * (self.float_white != 1)),
        )

    @property
    def told(self) -> str:
        """The same in a line."""
        return ", ".join(self.words) or "the usual one, transparent images on white"

    @property
    def behind(self) -> str:
        """The background in words."""
        return "nothing" if self.background is None else GREYS[self.background]

    def as_dict(self) -> dict[str, Any]:
        """Plain values: for model.pt, and for the identity of data."""
        return asdict(self)

    def as_texts(self) -> dict[str, str]:
        """For the metadata of exported files."""
        behind = "none" if self.background is None else str(self.background)
        whites = {"integer": str(self.integer_white), "float": f"{self.float_white:g}"}
        return {"kd.background": behind} | {f"kd.white.{k}": v for k, v in whites.items()}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any] | None) -> "Decoding":
        """What `as_dict` gave; `UNTOLD` where nothing was kept."""
        return cls(**raw) if raw else UNTOLD

    @classmethod
    def from_texts(cls, known: Mapping[str, str]) -> "Decoding":
        """What `as_texts` gave; raises ValueError for levels that no kd writes."""
        if "kd.background" not in known:
            return UNTOLD
        behind = known["kd.background"]
        found = cls(
            None if behind == "none" else int(behind),
            int(known.get("kd.white.integer", cls.integer_white)),
            float(known.get("kd.white.float", cls.float_white)),
        )
        known_levels = found.background is None or found.background in GREYS
        if not (known_levels and found.integer_white in INTEGERS and found.float_white in FLOATS):
            raise ValueError(f"a rule for images that nobody knows: {found}")
        return found


UNTOLD = Decoding(background=None)
"""Of models that say nothing: by kd's earlier rule, and `convert("RGB")` elsewhere, transparent
pixels show their stored colour."""
