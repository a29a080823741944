"""Under which licence pretrained weights come, as timm states it for every file of weights.

A licence of weights says nothing of the images that they were learned from.
"""

import timm

FREE = frozenset({"apache-2.0", "mit", "bsd-3-clause", "bsd-2-clause", "cc-by-4.0", "cc0-1.0"})
"""At most, the maker must be named."""
FOR_RESEARCH = frozenset({"apple-amlr", "seer-license"})
"""Research only by their text, which their names do not say."""
UNKNOWN = frozenset({"", "other", "unknown"})


def licence_of(name: str) -> str | None:
    """The licence of a timm name's pretrained weights; None where timm states none."""
    config = timm.get_pretrained_cfg(name)
    licence = (config.license or "") if config else ""
    return None if licence.lower() in UNKNOWN else str(licence)


def licence_warning(name: str) -> str | None:
    """What to say before these pretrained weights are used; None under a free licence."""
    licence = licence_of(name)
    if licence is None:
        return (
            f"the licence of {name}'s pretrained weights is not known: "
            "ask their maker before you ship what was learned from them"
        )
    return warning_of(licence, f"{name}'s pretrained weights")


def warning_of(licence: str, whose: str) -> str | None:
    """What to say of weights under this licence; None under a free one."""
    if licence.lower() in FREE:
        return None
    kind = "forbids commercial use" if is_non_commercial(licence) else "has conditions of its own"
    return (
        f"{whose} are under {licence}, which {kind}: "
        "read it before you ship what was learned from them"
    )


def is_non_commercial(licence: str) -> bool:
    """Whether it keeps people from earning money with the weights."""
    words = licence.lower()
    signs = ("-nc", "noncommercial", "non-commercial", "research")
    return words in FOR_RESEARCH or any(sign in words for sign in signs)
