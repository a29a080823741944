"""Rows 38 and 50: recipes, from shipped ones with one value changed to what is hardly YAML."""

from pathlib import Path
from typing import Any

import hostile
import pytest
import yaml
from contract import Scratch, cases, holds, tried
from hypothesis import strategies as st

from kdcli.recipe.load import recipe_folder

SHIPPED = sorted(recipe_folder().glob("*.yaml"))
VALUES = (
    *("!!int x", "!!float x", "!!bool x", "!!timestamp x", "!!null x", "!!binary x", "!!set {a}"),
    *("!!omap [a: 1]", "!!pairs [a: 1]", "!!str", "!!python/object/apply:os.system [id]", "!x 1"),
    *("2020-13-45", "2020-01-01", "2020-01-01T99:99:99Z", "1:30", "0o17", "0b2", "1_0", ".5.", "~"),
    *(
        "*a",
        "&a [*a]",
        "<<: {}",
        "? a",
        "? [a]: b",
        "{[a]: b}",
        "{a: 1, a: 2}",
        "[",
        "}",
        "'",
        '"',
        "|",
    ),
    *(
        ">-\n",
        "%YAML 3.0",
        "@x",
        "`x",
        "\tx",
        "a: b: c",
        "- - -",
        '"\\x1b[2J"',
        '"\\ud800"',
        '"\\0"',
    ),
    *(
        '"\\U00110000"',
        '"\\q"',
        "[" * 2000,
        "{a: " * 500,
        "[1, " * 300 + "1" + "]" * 300,
        "[]",
        "{}",
    ),
)
"""What a key may be given."""
WHOLE = (
    *(
        b"",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbfscheme: offline",
        b"\x80",
        b"[]",
        b"1",
        b"- a",
        b"---\n---",
    ),
    *(
        b"a",
        b"a: 1\n---\nb: 2",
        b"\tscheme: offline",
        b"scheme: offline\r\nmethods: {kd: }\r\n",
        b"null",
    ),
    *("scheme: offline".encode(form) for form in ("utf-16", "utf-16-be", "utf-32")),
    b"a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]",
    b"methods: " + b"{kd: " * 400,
    b"x: '" + b"y" * 1_100_000 + b"'",
)
values = st.sampled_from(VALUES) | hostile.numbers | hostile.texts


@st.composite
def recipes(draw: st.DrawFn) -> bytes:
    """A file's bytes."""
    if not draw(st.integers(0, 9)):
        return draw(st.sampled_from(WHOLE) | st.binary(max_size=60))
    text = draw(st.sampled_from(SHIPPED)).read_text("utf-8")
    how = draw(st.sampled_from(["value", "value", "line", "plain", "bytes"]))
    if how == "plain":
        place, new = draw(st.integers(0, 60)), draw(hostile.jsons)
        return dumped(hostile.put_at(yaml.safe_load(text), place, new))
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    text = "\n".join(lines)
    at = draw(st.integers(0, len(lines) - 1))
    if how == "bytes":
        content = bytearray(text.encode())
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
        return bytes(content)
    new = draw(values)
    key, colon, _ = lines[at].partition(":")
    lines[at] = f"{key}{colon} {new}" if how == "value" else draw(st.sampled_from([new, key, ""]))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def dumped(value: Any) -> bytes:
    """As YAML, in the forms that a careful writer would not choose."""
    return yaml.dump(value, allow_unicode=False).encode("utf-8", "surrogatepass")


CHECK = ("recipe", "check")
COMMANDS = st.sampled_from(
    [
        (*CHECK, "r.yaml"),
        (*CHECK, "r.yaml", "--json"),
        ("recipe", "show", "r.yaml"),
        ("sweep", "r.yaml", "--dry-run", "--json"),
        # without a data set: nothing is rehearsed
        ("train", "nothing", "--recipe", "r.yaml", "--dry-run", "--data", "nowhere"),
    ]
)
KNOWN = [
    (b"scheme: %s" % value, (*CHECK, "r.yaml"))  # Python's own errors came through
    for value in (b"!!int x", b"!!bool x", b"!!timestamp x", b"2020-13-45", b"9" * 5000)
]


@cases(few=15, many=2500)
def test_any_recipe_is_taken_or_refused(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = Scratch(tmp_path / "here", monkeypatch, lambda folder: None)

    def check(case: tuple[bytes, tuple[str, ...]]) -> None:
        content, command = case
        (scratch.anew() / "r.yaml").write_bytes(content)
        holds(*command, folder=scratch.path, only_reads=True)

    tried(count, st.tuples(recipes(), COMMANDS), KNOWN, check)
