"""A recipe's values by dotted key: read, replaced, filled in, dumped."""

from typing import Any

from kdcli.recipe.schema import Recipe


def stored_size(recipe: Recipe) -> int:
    """Pixels of a side at which images are decoded and kept.

    Random crops are taken from somewhat larger images, as 224 pixels from 256: the ratio in which
    ImageNet is resized and cropped (timm's crop_pct of 0.875 is its inverse). From an image that is
    no larger than the crops come out, every one of them would be enlarged.
    """
    size = int(recipe.data.image_size)
    return size * 8 // 7 if recipe.data.augment == "crop_flip" else size


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
    """Set the value at `train.epochs`, making mappings on the way."""
    *parents, last = path.split(".")
    for key in parents:
        # `--set scheme.peers=3` over `scheme: mutual` keeps the scheme
        if key == "scheme" and isinstance(raw.get(key), str):
            raw[key] = {"name": raw[key]}
        if not isinstance(raw.get(key), dict):
            raw[key] = {}
        raw = raw[key]
    raw[last] = value
