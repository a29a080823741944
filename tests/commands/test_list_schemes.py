"""What is told of schemes: `kd list schemes`, and docs/schemes.md in step with the docstrings."""

from pathlib import Path

from house import kd_ok

from docs.generate import renewed, schemes_page
from kdcli.commands.list import schemes
from kdcli.core import registry

PAGE = Path(__file__).parents[2] / "docs" / "schemes.md"


def test_the_page_is_in_step_with_the_docstrings() -> None:
    page = PAGE.read_text("utf-8")
    assert renewed(page, schemes_page()) == page, "run: make docs"


def test_the_page_has_every_scheme_and_option() -> None:
    _, *sections = f"\n{schemes_page()}".split("\n### ")
    for part, section in zip(schemes(), sections, strict=True):
        assert section.startswith(f"{part.name}\n")
        assert all(f"| `{option.name}` |" in section for option in part.options)


def test_kd_list_schemes() -> None:
    found = kd_ok("list", "schemes", "--json").document["schemes"]
    assert [scheme["name"] for scheme in found] == registry.names("schemes")
    out = kd_ok("list", "schemes").out
    for scheme in found:
        assert scheme["what"]
        assert f"│ {', '.join([scheme['name'], *scheme['also_called']])} " in out
