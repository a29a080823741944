"""Under which licence pretrained weights come, as timm states it for every file of weights.

What a licence asks for is told from its name alone (SPDX's or the Hub's), of weights and images
alike. A licence of weights says nothing of the images that they were learned from.
"""

import re

import timm

FREE = frozenset(
    {
        *("0bsd", "apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "isc", "mit"),
        *("mit-0", "unlicense", "zlib"),
        *("cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0"),
        *("cdla-permissive-1.0", "cdla-permissive-2.0", "odc-by", "odc-by-1.0"),
        *("pddl", "pddl-1.0"),
    }
)
"""At most, the maker must be named. Ids of SPDX and of the Hub, in lower case; what is not listed
counts as having conditions of its own, for a licence that nobody looked at is not free."""
SHARE_ALIKE = ("-sa", "gpl", "odbl", "cdla-sharing")
"""In the name of licences that what is made from it must carry as well; `gpl` is in agpl and lgpl,
too."""
FOR_RESEARCH = frozenset({"apple-amlr", "seer-license"})
"""Research only by their text, which their names do not say."""
UNKNOWN = frozenset({"", "other", "unknown"})
"""Words that state nothing; `other` is the Hub's."""


def licence_of(name: str) -> str | None:
    """The licence of a timm name's pretrained weights; None where timm states none."""
    config = timm.get_pretrained_cfg(name)
    return stated(config.license if config else None)


def stated(licence: object) -> str | None:
    """A licence as somebody states it; None for words that state nothing."""
    words = licence.strip() if isinstance(licence, str) else ""
    return None if words.lower() in UNKNOWN else words


def weights_name(name: str) -> str:
    """The timm name with the tag of the weights that it stands for, as in `resnet18.a1_in1k`.

    timm may choose others in a later version, under another licence.
    """
    config = timm.get_pretrained_cfg(name)
    base, dot, _ = name.partition(".")
    return f"{base}.{config.tag}" if config and config.tag and not dot else name


def free_weights(name: str) -> dict[str, str]:
    """Other pretrained weights of the same architecture under a free licence: {name: licence}.

    timm's order; what they were trained on, and how good they are, is not looked at.
    """
    known = timm.list_pretrained(f"{name.partition('.')[0]}.*")
    licences = {other: licence_of(other) for other in known if other != name}
    return {other: found for other, found in licences.items() if found and is_free(found)}


def licence_warning(name: str) -> str | None:
    """What to say before these pretrained weights are used; None under a free licence."""
    licence = licence_of(name)
    if licence is None:
        return (
            f"the licence of {name}'s pretrained weights is not known: "
            "ask their maker before you ship what was learned from them"
        )
    if is_free(licence):
        return None
    return (
        f"{name}'s pretrained weights are under {licence}, which {terms(licence)}: "
        "read it before you ship what was learned from them"
    )


def terms(licence: str) -> str:
    """What it does, as a verb's phrase behind its name."""
    if is_free(licence):
        return "is permissive"
    if is_non_commercial(licence):
        return "forbids commercial use"
    if any(sign in _id(licence) for sign in SHARE_ALIKE):
        return "is share-alike: what is made from it must carry it too"
    return "has conditions of its own"


def is_free(licence: str) -> bool:
    """Whether it lets everybody do anything, but for naming the maker; however it is spelled."""
    return _id(licence) in FREE


def is_non_commercial(licence: str) -> bool:
    """Whether it keeps people from earning money with what it covers."""
    words = _id(licence)
    # names say it in many ways, as fair-noncommercial-research-license; some not at all
    signs = ("-nc", "noncommercial", "non-commercial", "research")
    return words in FOR_RESEARCH or any(sign in words for sign in signs)


def _id(licence: str) -> str:
    """`CC BY 4.0` as `cc-by-4.0`."""
    return re.sub(r"[\s_]+", "-", licence.strip().lower())
