"""Pages that quote the source quote it as it is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
QUOTED = ("kdcli/methods/at.py", "tests/methods/test_at.py")
"""Files that CONTRIBUTING.md shows, each behind a link to it."""


@pytest.mark.parametrize("file", QUOTED)
def test_the_example_of_a_method_is_the_real_one(file: str) -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    _, _, behind = page.partition(f"]({file})")
    (quoted,) = re.findall(r"```python\n(.*?)```", behind, re.DOTALL)[:1]
    assert quoted in (ROOT / file).read_text("utf-8")


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]), ids=lambda page: page.name
)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]
