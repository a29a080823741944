"""The page and the plots of several candidates: what is on them, however many there are."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from kdcli.report.candidates import Candidate, Compared, PairPart, sentence, short_names
from kdcli.report.model import Range
from kdcli.report.page.facts import Curve
from kdcli.report.page.page import LARGEST, draw_comparison
from kdcli.report.page.svg_file import svg_file

EVIL = "<script>alert(1)</script>\x1b"


def _candidate(place: int, sizes: tuple[int, ...], timed: bool) -> Candidate:
    accuracy = 0.9 - 0.01 * place
    return Candidate(
        run=f"runs/{EVIL} {place}".replace("/s", "|s"),
        runs=[f"run {place}"],
        role="baseline" if place == 1 else "student",
        name="net",
        seeds=[0],
        accuracy=accuracy,
        accuracy_ci95=Range(low=accuracy - 0.02, high=accuracy + 0.02),
        accuracy_sd=None,
        gain=None if place == 1 else 0.0123,
        gain_ci95=None if place == 1 else Range(low=-0.01, high=0.03),
        p_value=None if place == 1 else 0.044,
        params=sizes[place % len(sizes)],
        macs=None,
        file_bytes=None,
        latency_ms=1.5 + place if timed else None,
        size_reduction=None,
        distillation_score=None,
        on_front=place == 0,
        differs={"methods": EVIL, "task.weight": str(place)},
    )


def _compared(
    count: int = 4, sizes: tuple[int, ...] = (4000, 300, 20), timed: bool = True
) -> Compared:
    """Falling accuracies; only those that are three places apart can be told apart."""
    ones = [_candidate(place, sizes, timed) for place in range(count)]
    runs = [one.run for one in ones]
    pairs = [
        PairPart(
            one=runs[i],
            other=runs[j],
            gain=0.01 * (j - i),
            gain_ci95=Range(low=-0.5, high=0.5),
            p_value=0.012 if j - i > 2 else 1.0,
            differ=int(j - i > 2),
        )
        for i in range(count)
        for j in range(i + 1, count)
    ]
    short = short_names(runs)
    return Compared(
        data="images",
        test_images=100,
        against=runs[1],
        candidates=ones,
        pairs=pairs,
        best=runs[0],
        alike=runs[1:3],
        behind=runs[3:],
        front=runs[:1],
        sentence=sentence(short[0], short[1:3], short[3:]),
        notes=["beware"],
        measured_on="a machine, 1 thread" if timed else None,
    )


def test_what_stands_there_is_the_comparisons() -> None:
    found = _compared()
    curve = Curve("student", 0, (1, 2), (0.1, 0.2), (0.3, 0.4))
    page = draw_comparison(found, {found.candidates[0].run: curve})
    for words in ("0.9000", "0.880 to 0.920", "-1.0 to +3.0", "0.044", "beware", "4.00k", "1.50"):
        assert words in page.html, words
    assert "<script" not in page.html
    assert "cannot be told from it" in page.html
    assert page.lacking == {}
    cells = re.findall(r'<td(?: class="(\w+)")? title="([^"]*)">([^<]*)</td>', page.html)
    assert len(cells) == 16
    assert [cell for cell in cells if cell[0]] == [
        ("ahead", "p = 0.012 after Holm", "+3.0"),
        ("behind", "p = 0.012 after Holm", "-3.0"),
    ]
    assert page.html.count(">undecided<") == 2
    assert not re.findall(r"""(?:src|href)="(?!data:)|url\(|@import""", page.html)


def test_many_stay_legible_and_small() -> None:
    page = draw_comparison(_compared(300), {})
    assert len(page.html.encode()) < LARGEST
    assert "The 12 most accurate of 300." in page.html
    assert "100 of 300" in page.html
    heading = re.search(r"<h1.*?</h1>", page.html, re.DOTALL)
    assert heading
    assert "and 291 more are behind" in heading[0]
    assert list(page.lacking) == ["Learning"]


def test_of_one_size_and_untimed_accuracies_are_ranked() -> None:
    html = draw_comparison(_compared(sizes=(4000,), timed=False), {}).html
    assert "All have one size, 4 k parameters." in html
    assert "Nothing was timed" in html
    assert 'class="front"' not in html


@pytest.mark.parametrize("count", [2, 60])
def test_a_plot_is_one_whole_file(count: int) -> None:
    text = svg_file(_compared(count))
    root = ElementTree.fromstring(text)
    words = ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Against parameters", "Against time"} <= set(words)
    assert sum("<script" in one for one in words) > 1, "text stays text"
    assert not re.search(r"var\(|url\(|href", text)
    assert text.count('class="front"') == 2


def test_the_front_is_a_step_line() -> None:
    """Sizes 4000, 300, 20 by falling accuracy: all are on it, from the left to the right."""
    text = svg_file(_compared(3, timed=False))
    found = re.search(r'd="M([^"]*)" class="front"', text)
    assert found
    corners = [tuple(map(float, one.split())) for one in found[1].split("L")]
    assert len(corners) == 6
    assert corners == sorted(corners, key=lambda one: (one[0], -one[1]))
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(corners))
