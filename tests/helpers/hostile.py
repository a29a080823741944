"""Values that nobody should give to kd, and some do."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

NUMBERS = (
    *("0", "-1", "1", "2", "0.5", "1e30", "1e400", "-1e400", "1e-320", "nan", "inf", "-inf"),
    *("9" * 5000, "0." + "9" * 5000, str(2**31), str(2**63), str(-(2**63)), str(2**64)),
    *("0x10", "1_000", "010", "1e3", "٣", "½", "1,5", "+", "-", "1e", "%", "95%", "-0"),
)
TEXTS = (
    *(
        "",
        " ",
        "\t",
        "\n",
        "a\nb",
        "x" * 300,
        "ü" * 200,
        "\udcff",
        "\ud800.pt",
        "\x1b[31mred",
        "\x9b1m",
    ),
    *(
        ":x:",
        "[bold]",
        "[/]",
        "[link=x]y",
        "%s",
        "{}",
        "{0}",
        "$HOME",
        "`id`",
        "~",
        "~nobody/x",
        "\\",
    ),
    *(
        "null",
        "true",
        "NaN",
        "---",
        "...",
        "-",
        "=",
        "a=b",
        "a=",
        "=b",
        "a.b.c",
        ".",
        "..",
        "../..",
        "/",
    ),
    *(
        "İ",
        "ﬁ",
        "\u202egnp",
        "\u2028",
        "e\u0301",
        "👩‍👩‍👧",
        "\ufeffa",
        "!!python/name:os.system",
        "&a [*a]",
    ),
    *(
        "hf-hub:nobody/nothing",
        "local-dir:.",
        "NAME=",
        "test_resnet=",
        "CON",
        "a/b/",
        "//",
        "file:///etc/passwd",
    ),
)
PATHS = ("folder", "fifo", "null", "empty", "loop", "dangling", "text.txt", "folder/.", "empty/x")
"""What `lie_about` makes."""
MOST = 40
"""Parts of a list or mapping that are looked into: weights have hundreds, all alike."""

numbers = st.sampled_from(NUMBERS)
texts = st.sampled_from(TEXTS) | st.text(st.characters(exclude_characters="\0"), max_size=20)
"""No NUL: no system hands one to a program."""
paths = st.sampled_from(PATHS)
plain = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 1, 2**31, 2**63, 2**64, 10**30, -(10**400)])
    | st.sampled_from([0.0, -0.5, 1e30, 1e308, float("nan"), float("inf"), 5e-324])
    | texts
)
jsons = st.recursive(
    plain, lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v, max_size=3), max_leaves=4
)


def lie_about(folder: Path) -> None:
    """Things under `folder` that are no file that anybody wants."""
    import os

    (folder / "folder").mkdir()
    (folder / "empty").touch()
    (folder / "text.txt").write_text("no more than a text\n")
    os.mkfifo(folder / "fifo")
    for name, target in (("null", "/dev/null"), ("loop", "loop"), ("dangling", "nowhere")):
        (folder / name).symlink_to(target)


def put_at(value: Any, place: int, new: Any) -> Any:
    """The same plain value with one of its parts, counted through from 0 on, another."""
    spots = list(_spots(value, ()))
    return _put(value, spots[place % len(spots)], new)


def _spots(value: Any, at: tuple[Any, ...]) -> Any:
    yield at
    if isinstance(value, dict | list):
        for key in list(value if isinstance(value, dict) else range(len(value)))[:MOST]:
            yield from _spots(value[key], (*at, key))


def _put(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    if not at:
        return new
    copy = value.copy()
    copy[at[0]] = _put(value[at[0]], at[1:], new)
    return copy


def as_json(value: Any) -> bytes:
    """With NaN and lone surrogates, as no careful program writes it."""
    return json.dumps(value).encode("utf-8", "surrogatepass")
