"""Under which licence images come: what is known of a named set, what lies in a folder."""

import re
from dataclasses import dataclass
from pathlib import Path

from kdcli.data.sources.torchvision_sets import ALIASES
from kdcli.recipe.safe_yaml import from_yaml

# What people call such a file; others that lie there are not opened.
FILES = re.compile(r"(licen[cs]e|copying)(\.(txt|md|rst))?", re.IGNORECASE)
HEAD = 4000
"""Characters of such a file in which its title is looked for: further down, texts name licences
that they are not (the GPL's own text speaks of the Lesser GPL at its end)."""


@dataclass(frozen=True)
class Stated:
    """A licence, and who states it."""

    licence: str | None
    """None: nobody does, or in words that kd does not know."""
    by: str = ""


NAMED = {
    "digits": Stated("cc-by-4.0", "UCI, Optical Recognition of Handwritten Digits"),
    "torch/fashion_mnist": Stated("mit", "its repository"),
    "torch/imagenet": Stated("non-commercial research", "its terms of access"),
    "torch/kmnist": Stated("cc-by-sa-4.0", "its makers (CODH)"),
    "torch/mnist": Stated("cc-by-sa-3.0", "the documentation of Keras"),
    "torch/qmnist": Stated("bsd-3-clause", "its repository"),
}
"""What was found stated; of CIFAR, Places365 and iNaturalist nothing was."""

# By SPDX's names where it has one for what the title tells; of the GNU licences it does not tell
# the version. The Affero and the Lesser come before the plain one, which their texts name.
_TITLES = (
    (r"\bmit license", "mit"),
    (r"apache license,?\s+version 2\.0", "apache-2.0"),
    (r"bsd 3-clause", "bsd-3-clause"),
    (r"bsd 2-clause", "bsd-2-clause"),
    (r"\bisc license", "isc"),
    (r"cc0 1\.0", "cc0-1.0"),
    (r"this is free and unencumbered software", "unlicense"),
    (r"open database license", "odbl"),
    (r"gnu affero general public license", "agpl"),
    (r"gnu lesser general public license", "lgpl"),
    (r"gnu general public license", "gpl"),
)
_SPDX = re.compile(r"spdx-license-identifier:\s*([\w.+-]+)")
_CREATIVE = re.compile(
    r"(?:creative commons )?attribution((?:[ -](?:noncommercial|share ?-?alike|noderivatives|"
    r"noderivs))*) (\d\.\d)|\bcc[ -]by((?:[ -](?:nc|sa|nd))*)[ -](\d\.\d)"
)
_SHORT = (("noncommercial", "nc"), ("alike", "sa"), ("noderiv", "nd"))


def licence_of_data(location: str | None) -> Stated:
    """What is stated of the data that --data names; None is the built-in default.

    Nothing is fetched: of a Hub set, its card speaks where it lies on this machine.
    """
    name = location or "digits"
    kind, _, rest = name.partition("/")
    if kind.lower() == "hfds":
        return _of_card(rest)
    if kind.lower() == "torch":
        name = f"torch/{ALIASES.get(rest.lower(), rest.lower())}"
    if name in NAMED:
        return NAMED[name]
    place = Path(name)
    # a run's location is absolute; of one that is gone the folder above would speak, wrongly
    if not (place.is_absolute() and place.exists()):
        return Stated(None)
    return _of_folder(place if place.is_dir() else place.parent)


def recognised(text: str) -> str | None:
    """The licence that a text is, by its SPDX line or its title; None where neither is plain.

    None rather than a guess: an unknown licence is warned of, a wrong one would be shipped.
    """
    words = " ".join(text[:HEAD].lower().split())
    if spdx := _SPDX.search(words):
        return spdx[1]
    if creative := _CREATIVE.search(words):
        long, version, short, short_version = creative.groups()
        parts = [part for sign, part in _SHORT if sign in (long or "")]
        parts += re.findall("nc|sa|nd", short or "")
        return "-".join(["cc-by", *parts, version or short_version])
    return next((licence for title, licence in _TITLES if re.search(title, words)), None)


def _of_folder(folder: Path) -> Stated:
    """Of a file in it; what cannot be read states nothing."""
    try:
        files = folder.iterdir()
        named = sorted(file for file in files if FILES.fullmatch(file.name) and file.is_file())
        if not named:
            return Stated(None)
        return Stated(recognised(named[0].read_text("utf-8", "replace")), named[0].name)
    except OSError:
        return Stated(None, "an unreadable file or folder")


def _of_card(name: str) -> Stated:
    """The card of a Hub set, or of a folder in its formats: a README.md that begins with YAML."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    folder = Path(name)
    card: object = folder / "README.md"
    if not folder.is_dir():
        try:
            card = try_to_load_from_cache(name, "README.md", repo_type="dataset")
        except HFValidationError:
            return Stated(None)
    if isinstance(card, str | Path) and Path(card).is_file():
        return Stated(_in_card(Path(card).read_text("utf-8", "replace")), "its card")
    return _of_folder(folder) if folder.is_dir() else Stated(None)


def _in_card(text: str) -> str | None:
    """One licence, in words or as a list of one, as cards have it."""
    start, _, rest = text.partition("---\n")  # YAML only if nothing stands in front of it
    try:
        raw = {} if start.strip() else from_yaml(rest.partition("\n---")[0])
    except ValueError:
        return None
    found = raw.get("license") if isinstance(raw, dict) else None
    one = found[0] if isinstance(found, list) and len(found) == 1 else found
    return one if isinstance(one, str) else None
