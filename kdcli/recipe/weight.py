"""A weight in a recipe: a number or a ramp; spans such as 5% or 20 epochs."""

import math
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from kdcli.core.options import Options

# The unit is a must: a bare 5 could be steps, epochs or percent.
_SPAN = re.compile(r"(\d+(?:\.\d+)?) ?(%|epochs?)")


def _check_span(text: str) -> str:
    if not _SPAN.fullmatch(text):  # `$` would let a newline pass
        raise ValueError('expects a span such as "5%" or "20 epochs"')
    return text


Span = Annotated[str, AfterValidator(_check_span)]


def span_epochs(span: str, epochs: int) -> float:
    """A span such as `"5%"` or `"20 epochs"` in epochs of a training that lasts `epochs`.

    Percent follow a training that is made shorter, epochs do not, and may reach beyond its end.
    """
    number, unit = _SPAN.fullmatch(span).groups()  # type: ignore[union-attr]  # validated
    return float(number) * epochs / 100 if unit == "%" else float(number)


class Ramp(Options):
    """A weight that moves and then stays."""

    from_: float = Field(alias="from", ge=0)
    to: float = Field(ge=0)
    over: Span
    """How long it takes."""
    start: Span = "0%"
    """When it begins; before that the weight is `from`."""
    shape: Literal["line", "gaussian"] = "line"
    """`gaussian` goes exp(-5 (1 - x)^2) of the way when the share x of `over` is done: slowly at
    first (Laine, Aila, arXiv:1610.02242)."""

    def at(self, epoch: float, epochs: int) -> float:
        """The weight after `epoch` (fractional) of `epochs`.

        It is asked at every step: weights move within an epoch, too.
        """
        begin, length = span_epochs(self.start, epochs), span_epochs(self.over, epochs)
        if epoch < begin:
            return self.from_
        way = min((epoch - begin) / length, 1.0) if length else 1.0  # over nothing: a switch
        if self.shape == "gaussian":
            way = math.exp(-5 * (1 - way) ** 2)
        return self.from_ + (self.to - self.from_) * way


Weight = Annotated[float, Field(ge=0)] | Ramp


def weight_at(weight: Weight, epoch: float, epochs: int) -> float:
    """The value of a weight after `epoch` (fractional) of `epochs`."""
    return weight.at(epoch, epochs) if isinstance(weight, Ramp) else weight
