"""pydantic's errors in our words: one per key, with what was expected and "did you mean"."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from kdcli.recipe.other_names import in_words
from kdcli.recipe.places import field_at, fields_of, may_be_null


def tell(
    error: ValidationError,
    raw: dict[str, Any],
    further: Sequence[str] = (),
    inside: tuple[str, type[BaseModel]] | None = None,
) -> dict[str, str]:
    """pydantic's errors as `{path: text}`: one per key, the alternatives of a union joined.

    `raw` is what was checked: errors quote it, and their paths are followed in it. `further` are
    keys beside the schema's, in full, that an unknown one may have been meant to be.
    `inside`: where in the recipe `raw` stands (`methods.kd`), and the class that checked it.
    """
    found: dict[str, list[str]] = {}
    where = f"{inside[0]}." if inside else ""
    for item in error.errors(include_url=False):
        path, value = _follow(raw, item["loc"])
        if item["type"] == "extra_forbidden":
            text = f"unknown key{in_words(where + path, value, further)}"
        elif item["type"] == "missing":
            path, text = f"{path}.{item['loc'][-1]}".lstrip("."), "is missing"
        else:
            # both parts of one text, taken apart again by `_join`
            text = f"{_expectation(item)}|{_as_yaml(value)}{_aside(path, value, inside)}"
        found.setdefault(path, []).append(text)
    # A weight is a number or a ramp: of a ramp without `over`, pydantic says both that it is no
    # number and what it lacks. The deeper error is about what was meant.
    return {
        path: _join(texts)
        for path, texts in found.items()
        if not any(other.startswith(f"{path}.") for other in found)
    }


def _as_yaml(value: Any) -> str:
    """As a person wrote it: Python's None and True are null and true there."""
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else repr(value)


def _join(texts: list[str]) -> str:
    """`expects a whole number or 'auto', not 'x'`."""
    # from the right: the expectation may hold a bar, as in a message of our own
    pairs = [text.rpartition("|") for text in dict.fromkeys(texts)]
    if not pairs[0][1]:  # an unknown key, or one that is missing: nothing was expected
        return texts[0]
    return f"expects {' or '.join(dict.fromkeys(p[0] for p in pairs))}, not {pairs[0][2]}"


def _follow(raw: Any, loc: tuple[int | str, ...]) -> tuple[str, Any]:
    """The dotted path of an error and the value there; names of union members are left out, which
    pydantic puts into `loc` (`('train', 'lr', 'constrained-float')`) and no recipe has."""
    keys = []
    for key in loc:
        inside = dict(enumerate(raw)) if isinstance(raw, list) else raw
        if isinstance(inside, dict) and key in inside:
            keys.append(str(key))
            raw = inside[key]
    return ".".join(keys), raw


def _aside(path: str, value: Any, inside: tuple[str, type[BaseModel]] | None) -> str:
    """What to write in its place, where people often mean something else."""
    if not inside and path in ("teacher", "student", "data") and isinstance(value, str):
        return f"; --{path} {value} names it"
    if not inside and path == "methods" and isinstance(value, str):
        return f"; as in {{{value}: {{}}}}"
    # who writes None, none, off or 0 wants to know
    field = fields_of(inside[1]).get(path) if inside else field_at(path)
    return "; null is off" if field and may_be_null(field.annotation) else ""


# By pydantic's types of errors, https://docs.pydantic.dev/latest/errors/validation_errors; a kind
# that is missing here keeps pydantic's own words.
_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a text",
    "bool_type": "true or false",
    "none_required": "null",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
}


def _expectation(item: Any) -> str:
    kind, context = item["type"], item.get("ctx", {})
    bounds = {
        "greater_than": ("gt", "above"),
        "greater_than_equal": ("ge", "at least"),
        "less_than": ("lt", "below"),
        "less_than_equal": ("le", "at most"),
    }
    if kind in bounds:
        key, word = bounds[kind]
        return f"a number {word} {context[key]}"
    if kind in ("too_long", "too_short"):
        most = kind == "too_long"
        length = context["max_length" if most else "min_length"]
        return f"a list of at {'most' if most else 'least'} {length}"
    if kind == "literal_error":
        return str(context["expected"])
    if kind == "value_error":  # raised by a validator of ours, which begins with "expects" itself
        return str(context["error"]).removeprefix("expects ")
    return _EXPECTED.get(kind, str(item["msg"]))
