"""Under which licences a model's ingredients come: the weights that it and its teachers began with,
and the images that they learnt from.

Written into model.pt when it is made: a later timm may take other weights, under another licence,
for the same name. Nothing of it enters a digest, so to state a licence later trains nothing.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path

from kdcli.core.errors import DamagedFile, KdError
from kdcli.core.progress import Progress
from kdcli.data.licences import licence_of_data
from kdcli.models.checkpoint import ModelFile, load_model
from kdcli.models.licences import (
    free_weights,
    is_free,
    is_non_commercial,
    licence_of,
    stated,
    terms,
    weights_name,
)
from kdcli.report.licences import LicencePart, LicencesPart, licence_words
from kdcli.runs.run import Run
from kdcli.runs.spec import DataRef, Spec, TeacherRef

OWN = "own"
"""What data.licence says of images that are the user's own."""


def licences_of(file: ModelFile, spec: Spec | None = None) -> LicencesPart:
    """Of a model.pt, as was written down when it was made; `spec` is its run's, which may say of
    the images by now what nobody said then, and everything of a model.pt of an earlier kd."""
    recorded = file.provenance.get("licences")
    entries = _recorded(recorded) if recorded is not None else _of_earlier(file, spec)
    if spec and spec.recipe.data.licence != "auto":
        now = {one.what: one for one in _images(spec)}
        entries = [now.get(one.what, one) if one.role == "data" else one for one in entries]
    return LicencesPart(all_permissive=int(all(e.permissive for e in entries)), entries=entries)


def entries_of(spec: Spec) -> list[LicencePart]:
    """Of what a training will make: teachers first, images last, each once.

    A given teacher's file is read for what it says of itself. A teacher's weights count as the
    student's own do: what was learnt from them may be bound by their licence, too.
    """
    above = [part for ref in spec.teachers for part in _of_teacher(ref, spec)]
    begun = [_start(spec, spec.role, spec.model), *(_start(spec, "peer", p) for p in spec.peers)]
    each = {(one.role, one.what): one for one in [*above, *begun, *_images(spec)]}
    return sorted(each.values(), key=lambda one: one.role == "data")


def _recorded(raw: Iterable[dict[str, object]]) -> list[LicencePart]:
    try:
        return [LicencePart.model_validate(one) for one in raw]
    except (ValueError, TypeError) as error:
        raise DamagedFile(
            "what the model.pt says of licences is not what kd writes",
            "repeat the command that made it with --again",
        ) from error


def _of_teacher(ref: TeacherRef, pupil: Spec) -> Iterator[LicencePart]:
    """What it began with, and whoever taught it; of a file that is gone, that it is.

    Images that it shares with its pupil have the pupil's name for them: they may have been moved.
    """
    if ref.spec:
        yield from entries_of(ref.spec)
        return
    path, spec = Path(ref.path or ""), None
    with suppress(KdError):
        spec = Run(path.parent).spec
    try:
        found = licences_of(load_model(path), spec).entries
    except KdError:  # of an earlier kd's run: whoever begins one is told before
        found = [_part("teacher", ref.model, None, "its file is gone")]
    pairs = product(_refs(spec) if spec else (), _refs(pupil))
    moved = {was.name: now.name for was, now in pairs if was.identity == now.identity}
    for one in found:
        changed = {"what": moved.get(one.what, one.what)}
        yield one.model_copy(update=changed if one.role == "data" else {"role": "teacher"})


def _of_earlier(file: ModelFile, spec: Spec | None) -> list[LicencePart]:
    """Of a model.pt that does not say: by its run, by who gave it, or unknown."""
    if spec:
        return entries_of(spec)
    made, model = file.provenance, str(file.model.get("name"))
    if made.get("role") == "given":
        return [_part("student", f"{model}, {made.get('given')}", made.get("licence"))]
    return [_part("student", model, None)]


def _start(spec: Spec, role: str, model: str) -> LicencePart:
    """What a model begins with; a peer of the student's architecture, with the student's."""
    if spec.weights and model == spec.model:
        origin = spec.weights.origin or Path(spec.weights.path).name
        return _part(role, f"{model}, {origin}", spec.weights.licence)
    if spec.recipe.student.pretrained:
        return _part(role, weights_name(model), licence_of(model))
    note = "trained from random weights; nothing to license"
    return LicencePart(role=role, what=model, licence=None, permissive=1, note=note)


def _images(spec: Spec) -> list[LicencePart]:
    return [_of_images(ref, spec.recipe.data.licence) for ref in _refs(spec)]


def _refs(spec: Spec) -> list[DataRef]:
    return [spec.data, *([spec.unlabelled] if spec.unlabelled else [])]


def _of_images(data: DataRef, said: str) -> LicencePart:
    """What the recipe says goes before what is stated elsewhere, which is then noted."""
    found = licence_of_data(data.location)
    if said == "auto":
        unread = f"{found.by} names none that kd knows" if found.by else ""
        return _part("data", data.name, found.licence, found.by if found.licence else unread)
    differs = found.licence and found.licence.lower() != said.lower()
    by = f"data.licence; {found.by} says {found.licence}" if differs else "data.licence"
    if said == OWN:
        note = f"the user's own ({by})"
        return LicencePart(role="data", what=data.name, licence=OWN, permissive=1, note=note)
    return _part("data", data.name, said, by)


def _part(role: str, what: str, licence: str | None, by: str = "") -> LicencePart:
    known = stated(licence)
    # what nobody states is not permissive: a gate that lets it pass would be worth nothing
    note = (terms(known) if known else "unknown") + (f" ({by})" if by else "")
    free = int(known is not None and is_free(known))
    return LicencePart(role=role, what=what, licence=known, permissive=free, note=note)


def warn_of_licences(spec: Spec, progress: Progress) -> None:
    """Before the wait: what forbids commercial use, and what nobody knows; one line each.

    Conditions of their own are listed in the report, and not warned about: kd cannot tell whether
    they matter.
    """
    for one in entries_of(spec):
        if words := _warning(one, spec):
            progress.warn(words)


def _warning(one: LicencePart, spec: Spec) -> str | None:
    """None where the licence is known, and lets people earn money."""
    unknown = licence_words(one) == "unknown"
    if unknown and one.role == "data":  # mostly the user's own: a calm line
        return f"{one.what}: licence unknown; --set data.licence=own says that the images are yours"
    if not unknown and not is_non_commercial(one.licence or ""):
        return None
    said = "unknown" if unknown else f"{one.licence}, forbids commercial use"
    return f"{one.role} {one.what}, licence {said}: {_way_out(one, spec)}"


def _way_out(one: LicencePart, spec: Spec) -> str:
    if one.role == "data":
        return "take other images, or --set data.licence=... where you have another licence"
    if free := free_weights(one.what):
        name, licence = next(iter(free.items()))
        return f"{name} is {licence}"
    whose = "teacher" if one.role == "teacher" != spec.role else "student"
    return (
        f"ask its maker, take another model (kd list models), or --set {whose}.pretrained=false "
        "(random weights)"
    )
