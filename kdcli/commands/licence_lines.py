"""Licences in words: of a report, of what `kd inspect` shows, and before a training starts."""

from kdcli.commands.licence_part import LicencePart, LicencesPart
from kdcli.commands.licences import entries_of
from kdcli.models.licences import free_weights, is_non_commercial
from kdcli.progress import Progress
from kdcli.spec import Spec


def licence_line(part: LicencesPart) -> str:
    """All in one line: which of them are not permissive."""
    if part.all_permissive:
        return "licences: all permissive, of weights and images"
    others = (_named(one) for one in part.entries if not one.permissive)
    return f"licences, not permissive: {'; '.join(others)}"


def licence_table(part: LicencesPart) -> tuple[list[str], list[list[str]]]:
    """Heads, and a row for each ingredient."""
    rows = [[one.role, one.what, licence_words(one), one.note] for one in part.entries]
    return ["of the", "what", "licence", ""], rows


def licence_row(one: LicencePart) -> str:
    """All of one ingredient."""
    return f"{_named(one)}, {one.note}"


def licence_words(one: LicencePart) -> str:
    """`unknown` where nobody states one, `none` where there is nothing to license."""
    return one.licence or ("none" if one.permissive else "unknown")


def warn_of_licences(spec: Spec, progress: Progress) -> None:
    """Before the wait: what forbids commercial use, and what nobody knows; one line each."""
    for one in entries_of(spec):
        if one.licence is None and not one.permissive:
            _tell_of_unknown(one, spec, progress)
        elif one.licence and is_non_commercial(one.licence):
            way = _way_out(one, spec)
            progress.warn(
                f"{one.role} {one.what}, licence {one.licence}, forbids commercial use: {way}"
            )


def _tell_of_unknown(one: LicencePart, spec: Spec, progress: Progress) -> None:
    if one.role == "data":
        progress.warn(
            f"{one.what}: licence unknown; --set data.licence=own says that the images are yours"
        )
    else:
        progress.warn(f"{one.role} {one.what}, licence unknown: {_way_out(one, spec)}")


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


def _named(one: LicencePart) -> str:
    return f"{one.role} {one.what}: {licence_words(one)}"
