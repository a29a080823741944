"""Licences in words: of a report, of what `kd inspect` shows, and before a training starts."""

from kdcli.report.model import Part


class LicencePart(Part):
    """One ingredient."""

    role: str
    """`teacher`, `assistant`, `generation`, `student`, `peer`, `data`."""
    what: str
    """timm's name with the tag of its weights, a file's or a data set's name; never a path."""
    licence: str | None
    """null: nobody states one, or there is nothing to license."""
    permissive: int
    """1: whoever ships the model has to name a maker at most."""
    note: str


class LicencesPart(Part):
    """All ingredients of one model."""

    all_permissive: int
    """1: each of them is."""
    entries: list[LicencePart]


def licence_line(part: LicencesPart) -> str:
    """All in one line: which of them are not permissive."""
    if part.all_permissive:
        return "licences: all permissive, of weights and images"
    others = (_named(one) for one in part.entries if not one.permissive)
    return f"licences, not permissive: {'; '.join(others)}"


def licence_of_all(part: LicencesPart) -> str | None:
    """One word for all ingredients, as the Hub files models: the licence of the weights, `other`
    where they have several; None where one is not known, of images too, or no weights have any."""
    if any(licence_words(one) == "unknown" for one in part.entries):
        return None
    named = {one.licence for one in part.entries if one.licence and one.role != "data"}
    return named.pop() if len(named) == 1 else "other" if named else None


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


def _named(one: LicencePart) -> str:
    return f"{one.role} {one.what}: {licence_words(one)}"
