"""Class names known on both sides: a model's and the data's, compared by name."""

from collections.abc import Iterable, Sequence

from kdcli.core.errors import UnfitTeacher
from kdcli.core.text import class_name, shown

OF_RUN = "repeat the command that made the run with --again: its data are read in another order now"
"""The way out where a run's own data no longer fit its model."""


def canonical(names: Iterable[object]) -> tuple[str, ...]:
    """Names as a data source has them: normalised, printable."""
    return tuple(shown(class_name(str(name))) for name in names)


def places_in(model: Sequence[str], data: Sequence[str], who: str, fix: str) -> list[int] | None:
    """Where each class of the data stands among the model's, so that its answers can be put in
    their order; None where it stands there already.

    Whoever joins a model with data asks this: equal in number is not enough.

    Raises:
        UnfitTeacher: they are other classes; says how. `who` is what messages call the model.
    """
    if tuple(model) == tuple(data):
        return None
    if len(set(model)) == len(model) == len(data) and set(model) == set(data):
        place = {name: i for i, name in enumerate(model)}
        return [place[name] for name in data]
    raise UnfitTeacher(f"{who} does not fit the data: {difference(model, data)}", fix)


def refuse_other_order(model: Sequence[str], data: Sequence[str], who: str, fix: str) -> None:
    """Raise UnfitTeacher unless the lists are the same: where nothing can be put in order."""
    if places_in(model, data, who, fix) is not None:
        raise UnfitTeacher(f"{who} does not fit the data: {difference(model, data)}", fix)


def difference(model: Sequence[str], data: Sequence[str]) -> str:
    """In words, how two different lists differ first."""
    if len(model) != len(data):
        return f"it knows {len(model):,} classes, the data have {len(data):,}"
    i = next(i for i, (a, b) in enumerate(zip(model, data, strict=True)) if a != b)
    first = f"its class {i} is '{model[i]}', that of the data is '{data[i]}'"
    same = set(model) == set(data)
    return f"it knows the same classes in another order: {first}" if same else first
