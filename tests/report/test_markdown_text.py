"""What a stranger wrote, as Markdown shows it: asked of a parser of Markdown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from kdcli.core.text import shown
from kdcli.report.markdown_text import Marked, code, listed, markdown_table, plain

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
SIGNS = st.text(st.sampled_from(list("ab_*`[]()!<>&;#$~|\\-+=.:1 ")), min_size=1, max_size=12)


def read(markdown: str) -> list[str]:
    """The kinds of all that is in it, and last its text."""
    found, text = [], ""
    for token in READER.parse(markdown):
        for part in token.children or ():
            found.append(part.type)
            text += part.content
    return [*(kind for kind in found if kind != "text"), text]


@pytest.mark.parametrize("sign", "\\`*[]<>$")
def test_every_sign_is_escaped(sign: str) -> None:
    assert plain(f"a{sign}b") == f"a\\{sign}b"


@pytest.mark.parametrize(
    "text",
    ["mobilenetv3_small_050", "T ~ 4", "R&D", "-0.3", "#1", "3.5 points", "a - b", "x!", "Äpfel_x"],
)
def test_where_a_sign_means_nothing_it_stays_bare(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    "text",
    ["# a", "- a", "+ a", "1. a", "12) a", "> a", "===", "---", "~~a~~", "_a_", "__a__", "&lt;"],
)
def test_nothing_begins_a_block(text: str) -> None:
    assert plain(text) != text
    assert read(plain(text)) == [text]
    assert read(f"- {plain(text)}") == [text]


@given(SIGNS.filter(str.strip))
def test_whatever_is_written_is_shown(text: str) -> None:
    assert read(f"- {plain(text)}") == [shown(text.strip())]


@given(SIGNS.filter(str.strip))
def test_a_table_shows_it_too(text: str) -> None:
    """As text and as code; the cell behind it is still the next one."""
    for cell in (text, code(text)):
        lines = markdown_table(["a", "b"], [[cell, "end"]])
        tokens = READER.parse("\n".join(lines))
        cells = [token.children or [] for token in tokens if token.type == "inline"]
        assert len(cells) == 4
        _, _, shown_as, last = cells
        assert {part.type for part in shown_as} <= {"text", "code_inline", "text_special"}
        assert "".join(part.content for part in last) == "end"


def test_what_is_said_to_be_markdown_is() -> None:
    assert listed(["a*", Marked("**a**")]) == ["- a\\*", "- **a**"]
    assert markdown_table(["*"], [[Marked("*a*")]])[::2] == ["| \\* |", "| *a* |"]


def test_a_name_as_code_is_one_line_of_code() -> None:
    assert code("a`b\nc") == "`` a`b\\nc ``"
    assert code("x" * 100, 10) == f"`{'x' * 7}...`"
    assert read(code("<img>|`` \\ "))[:-1] == ["code_inline"]
