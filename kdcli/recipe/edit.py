"""A recipe's values by dotted key: read, replaced, filled in, dumped."""

from typing import Any

from kdcli.core.errors import RecipeError
from kdcli.recipe.data import CROPS
from kdcli.recipe.places import shorthand_at
from kdcli.recipe.schema import Recipe


def crop_pct_of(said: Any) -> float:
    """What a resolved recipe says of `data.crop_pct`; 1.0 of one from before there was the key."""
    return float(said) if isinstance(said, int | float) else 1.0


def stored_crop_pct(recipe: Recipe) -> float:
    """Of the squares that training images are kept as: all of it, where crops are taken of them."""
    return 1.0 if recipe.data.augment in CROPS else crop_pct_of(recipe.data.crop_pct)


def stored_size(recipe: Recipe) -> int:
    """Pixels of a side at which images are kept; of whole photographs, below which no side is
    reduced.

    Random crops are taken from somewhat larger images, as 224 pixels from 256: the ratio in which
    ImageNet is resized and cropped (timm's crop_pct of 0.875 is its inverse). From an image that is
    no larger than the crops come out, every one of them would be enlarged.
    """
    size = int(recipe.data.image_size)
    return size * 8 // 7 if recipe.data.augment in CROPS else size


def update(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """The recipe with `values` (`{"train.epochs": 20}`) put in, checked again.

    By way of plain mappings: pydantic's model_copy would take any value unchecked.

    Raises:
        pydantic.ValidationError: a value that the format does not allow.
    """
    raw = dump(recipe)
    for path, value in values.items():
        put(raw, path, value)
    return Recipe.model_validate(raw)


def fill_auto(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """The recipe with every `auto` that `values` knows replaced; other values stay."""
    raw = dump(recipe)
    return update(recipe, {p: v for p, v in values.items() if get(raw, p) == "auto"})


def dump(recipe: Recipe) -> dict[str, Any]:
    """Plain mappings, as a recipe file would hold them; reading them gives the same recipe."""
    raw = recipe.model_dump(by_alias=True)  # `from`, not `from_`
    # a file that says nothing of them has neither of these keys
    if raw["who"] is None:
        del raw["who"]
    for use in raw["methods"].values():
        if use["use"] is None:
            del use["use"]
    return raw


def get(raw: dict[str, Any], path: str) -> Any:
    """The value at `train.epochs`; None where there is none."""
    for key in path.split("."):
        raw = raw.get(key) if isinstance(raw, dict) else None  # type: ignore[assignment]
    return raw


def put(raw: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at `train.epochs`, making mappings on the way; what stands there stays, a
    shorthand written out: `data.pool.times` over `pool: mixup` keeps `by: mixup`.

    Raises:
        RecipeError: on the way lies a value that is no mapping, or an entry that a list lacks.
    """
    within: Any = raw
    *parents, last = path.split(".")
    for i, key in enumerate(parents, 1):
        place = ".".join(parents[:i])
        slot = _slot(within, key, place)
        within[slot] = _opened(
            within[slot] if isinstance(within, list) else within.get(slot), place
        )
        within = within[slot]
    within[_slot(within, last, path)] = value


def _slot(within: dict[str, Any] | list[Any], key: str, path: str) -> Any:
    """The key, or the place in a list."""
    if isinstance(within, dict):
        return key
    if key.isdecimal() and int(key) < len(within):
        return int(key)
    raise RecipeError([f"--set {path}: the list has {len(within)} of them, counted from 0"])


def _opened(value: Any, path: str) -> dict[str, Any] | list[Any]:
    """What keys can be put into."""
    if value is None:
        return {}
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, str) and (key := shorthand_at(path)):
        return {key: value}
    if not isinstance(value, dict | list):
        raise RecipeError(
            [f"--set {path}....: {path} is {value!r}, no mapping"], f"--set {path}=..."
        )
    return value
