"""What is wrong with a class that somebody else's package brings, before anything relies on it."""

import math
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_args

from kdcli.core.method import Knowledge, Method
from kdcli.core.options import Options
from kdcli.core.records import Outputs


def faults(found: type, base: type[Options]) -> list[str]:
    """In words, as many as there are: of a class that should derive from `base`, Method or Scheme.

    Built-in ones are held to the same by the tests.
    """
    if not (isinstance(found, type) and issubclass(found, base)):
        return [f"is no {base.__name__}"]
    return [*_of_class(found), *(_of_method(found) if issubclass(found, Method) else ())]


def _of_class(found: type[Options]) -> Iterator[str]:
    if abstract := sorted(getattr(found, "__abstractmethods__", ())):
        yield f"does not define {' and '.join(f'{name}()' for name in abstract)}"
    for key, wanted in (("frozen", True), ("extra", "forbid")):
        if found.model_config.get(key) != wanted:
            yield f"has model_config {key}={found.model_config.get(key)!r} in place of {wanted!r}"
    for name, option in found.model_fields.items():
        if option.is_required():
            yield f"has an option without a default: {name}"
    for name in ("needs", "student_needs"):
        yield from _of_needs(name, getattr(found, name, None))


def _of_needs(name: str, value: Any) -> Iterator[str]:
    known = {field.name for field in fields(Outputs)} - {"by"}
    if value is None:  # a scheme has no student_needs; what a method lacks is told elsewhere
        return
    if not isinstance(value, frozenset):
        yield f"has {name} that are no frozenset: {value!r}"
    elif unknown := sorted(map(str, value - known)):
        yield f"{name} {', '.join(unknown)}: no fields of Outputs ({', '.join(sorted(known))})"


def _of_method(found: type[Method]) -> Iterator[str]:
    for name in ("kind", "needs", "default_weight", "weight_source"):
        if not hasattr(found, name):
            yield f"does not say its {name}"
    kinds = get_args(Knowledge)
    if (kind := getattr(found, "kind", kinds[0])) not in kinds:
        yield f"is of kind {kind!r}: one of {', '.join(kinds)}"
    weight = getattr(found, "default_weight", 1.0)
    if not (isinstance(weight, int | float) and 0 < weight < math.inf):
        yield f"has default_weight {weight!r}: no number above 0"
