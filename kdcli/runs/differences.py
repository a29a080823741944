"""In what two trainings differ, key by key."""

from collections.abc import Iterator, Mapping
from typing import Any

from kdcli.recipe.edit import dump
from kdcli.runs.spec import DataRef, Spec, TeacherRef

MOST = 12
"""Lines that a message has."""
_NOTHING = object()


def told(there: Spec, here: Spec) -> str:
    """`differences` as further lines of a message, the first of many."""
    found = differences(there, here)
    more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    return "".join(f"\n  {line}" for line in (*found[:MOST], *more))


def differences(there: Spec, here: Spec) -> list[str]:
    """`train.lr: 0.001 there, 0.01 here`, of all that decides the weights; a teacher's with
    `teacher: ` before them, those of one among several with `teacher.1: `. Empty where the digests
    are equal, and only there."""
    return [
        *_between("model", there.model, here.model),
        *_between("role", there.start, here.start),
        *_of_teachers(there, here),
        *_of_data("data", there.data, here.data),
        *_of_data("data.unlabelled", there.unlabelled, here.unlabelled),
        *_of_keys(there, here),
    ]


def _between(key: str, there: object, here: object) -> Iterator[str]:
    if there != here:
        yield f"{key}: {_spelled(there)} there, {_spelled(here)} here"


def _spelled(value: object) -> str:
    if value is _NOTHING or value is None or value in ((), [], {}):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(_spelled, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _of_data(key: str, there: DataRef | None, here: DataRef | None) -> Iterator[str]:
    one, other = (data.deciding if data else None for data in (there, here))
    if there is None or here is None or one == other:
        yield from _between(key, there and _place(there), here and _place(here))
        return
    if there.rules != here.rules:
        yield f"{key}: read by rules {there.rules} of kd there, {here.rules} here"
    if there.identity == here.identity:
        return
    if _place(there) != _place(here):
        yield f"{key}: {_place(there)} there, {_place(here)} here"
        return
    keys = {k for k in (*there.identity, *here.identity)}
    changed = [k for k in sorted(keys) if there.identity.get(k) != here.identity.get(k)]
    yield f"{key}: {_place(here)} has changed since ({', '.join(changed)})"


def _place(data: DataRef) -> str:
    return data.location or data.name


def _of_teachers(there: Spec, here: Spec) -> Iterator[str]:
    one, other = there.teachers, here.teachers
    names = [[t.words for t in teachers] for teachers in (one, other)]
    if len(one) != len(other) or names[0] != names[1]:
        yield from _between("teachers", *(", ".join(known) or "none" for known in names))
        return
    for i, (first, second) in enumerate(zip(one, other, strict=True)):
        name = f"teacher.{i}" if len(one) > 1 else "teacher"
        yield from (f"{name}: {line}" for line in _of_teacher(first, second))


def _of_teacher(there: TeacherRef, here: TeacherRef) -> Iterator[str]:
    if there.identity == here.identity:
        return
    if there.spec and here.spec:
        yield from differences(there.spec, here.spec)
    else:
        yield from _between("made from", _origin(there), _origin(here))


def _origin(teacher: TeacherRef) -> str:
    trained = f"a training of kd ({teacher.spec.folder_name})" if teacher.spec else ""
    return trained or f"{teacher.path} (sha256 {(teacher.sha256 or '')[:12]})"


def _of_keys(there: Spec, here: Spec) -> Iterator[str]:
    """Seed, starting weights, peers, and the recipe by its own keys; further ones of teachers."""
    each = [(_keys(spec), dict(_flat(dump(spec.recipe)))) for spec in (there, here)]
    (one, _), (other, _) = each
    for key in dict.fromkeys((*one, *other)):
        if one.get(key, _NOTHING) != other.get(key, _NOTHING):
            # of what does not decide, being as it always was, the recipe still has the value
            shown = (known.get(key, whole.get(key, _NOTHING)) for known, whole in each)
            yield from _between(key, *shown)


def _keys(spec: Spec) -> dict[str, Any]:
    deciding = dict(spec.deciding)
    for named in ("model", "start", "data"):
        del deciding[named]
    recipe = deciding.pop("recipe")
    recipe["data"].pop("unlabelled", None)
    asked = [{k: v for k, v in one.items() if k != "identity"} for one in deciding.pop("teachers")]
    for name, use in recipe["methods"].items():
        if use["use"] == name:  # its weight says enough
            del use["use"]
    for one in asked[:1]:  # the same of all
        recipe["teacher"] = recipe.get("teacher", {}) | one
    return dict(_flat(deciding)) | dict(_flat(recipe))


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
