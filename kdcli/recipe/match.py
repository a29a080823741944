"""What a recipe's `match.augment` may hold: how a teacher's answers are disturbed."""

from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from kdcli.core.options import Options

Positive = Annotated[float, Field(gt=0)]
Probability = Annotated[float, Field(gt=0, le=1)]
Part = Annotated[float, Field(gt=0, lt=1)]


# Defaults: the noise is that of recipes/noisy_teacher.yaml (measured on digits: no help and no harm
# that could be told); shares of Mask and Drop are choices that were not measured.
class Noise(Options):
    """Gaussian noise; on logits the noisy teacher of Sau and Balasubramanian, arXiv:1610.09650."""

    on: Literal["logits", "features", "embedding"] = "logits"
    scale: Positive = 0.5
    """Its deviation: this times that of all logits, of each channel, or of each dimension."""
    probability: Probability = 0.5
    """Of an image to be disturbed."""


class Mask(Options):
    """Cells of a map give way to the mean of their channel in that image."""

    on: Literal["features"] = "features"
    share: Part = 0.2
    """Of the cells, on average."""


class Drop(Options):
    """Channels of a map, or dimensions of an embedding, become 0; the others grow in turn."""

    on: Literal["features", "embedding"] = "features"
    share: Part = 0.1
    """Of the channels, on average."""


# Three optional fields in place of a union told by a key: YAML then reads {noise: {...}}, and a
# mistake inside is told by its path, without the names of two rules that were not meant.
class Disturbance(Options):
    """One entry of `match.augment`: `{noise: {on: logits}}`; a rule `{}` takes every default."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})
    noise: Noise | None = None
    mask: Mask | None = None
    drop: Drop | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "Disturbance":
        if len(self._given()) != 1:
            raise ValueError("expects exactly one of 'noise', 'mask', 'drop' with its options")
        return self

    # without the two that are None: run.yaml reads like the recipe, and digests hold no null
    @model_serializer(mode="wrap")
    def _as_written(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: options for name, options in plain(self).items() if options is not None}

    @property
    def rule(self) -> Noise | Mask | Drop:
        """The one that it is."""
        return self._given()[0]

    def _given(self) -> list[Noise | Mask | Drop]:
        return [rule for rule in (self.noise, self.mask, self.drop) if rule is not None]


class Match(Options):
    """Which stage answers which, and how a teacher's answers reach the methods."""

    pairs: list[Annotated[list[int], Field(min_length=2, max_length=2)]] | None = None
    """Stages by number, the student's first: [[1, 1], [2, 3]]; `null` lets kd choose."""
    adapter: Literal["auto", "none", "conv"] = "auto"
    """Between a student's map and its teacher's: a 1x1 convolution where channels or grids differ,
    never, or always."""
    augment: Annotated[tuple[Disturbance, ...], Field(strict=False)] = ()
    """Disturb what a teacher answers, in this order, before any method sees it."""
