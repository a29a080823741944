"""What a stranger may call things, and whether anybody obeyed: a look at each kind of output."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

from markdown_it import MarkdownIt

EVIL = (
    "=1+1 \x1b[31mred \x9b31m\x07 \u202egpj\u2066 :boom: [bold red]b _em_ **st** ~~d~~ "
    "<img src=x onerror=alert(1)> &lt; `c` | \\| [l](javascript:x) ![p](x) $m$ \u2028\n## forged\n"
    "- [ ] forged"
)
"""A name of a file, too: no `/` in it."""
_ORDERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_TAGS = {"script", "iframe", "object", "embed", "base", "form", "a", "bold"}
_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def no_orders(text: str) -> None:
    """Nothing that a terminal would obey, and no signs made of words."""
    assert not (found := _ORDERS.search(text)), ascii(text[max(0, found.start() - 80) :][:160])
    assert "\N{COLLISION SYMBOL}" not in text


def no_markdown_of(text: str) -> None:
    """No element that kd itself would not write; every row of a table as wide as its head."""
    no_orders(text)
    body = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    width, cells = 0, 0
    for token in _MARKDOWN.parse(body.replace("<!-- written by kd export -->", "")):
        assert token.type not in ("html_block", "blockquote_open"), token.content
        for part in token.children or ():
            assert part.type not in ("html_inline", "link_open", "image", "em_open", "s_open"), (
                ascii(token.content)
            )
        if token.type == "inline" and "forged" in token.content:
            assert not token.content.startswith("forged"), token.content
        cells += token.type in ("td_open", "th_open")
        if token.type == "tr_close":
            width, cells = width or cells, 0
        width = 0 if token.type == "table_close" else width


def no_html_of(text: str) -> None:
    """No element and no attribute that would do anything."""
    no_orders(text)

    class Look(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in _TAGS, tag
            for name, value in attrs:
                assert not name.startswith("on"), (tag, name)
                if name in ("src", "href"):
                    assert (value or "").startswith("data:"), (tag, value)

    Look().feed(text)


def is_xml(text: str) -> None:
    """A parser takes it, and nothing in it is an order."""
    no_orders(text)
    ElementTree.fromstring(text)
