"""A report as rows, lines and Markdown."""

from collections.abc import Callable, Iterator

from kdcli.report.against import against_lines, against_sentence
from kdcli.report.licences import licence_line, licence_table
from kdcli.report.markdown_text import code, listed, markdown_table, plain
from kdcli.report.schema import Report
from kdcli.report.sentences import (
    as_sentence,
    figures,
    fold_words,
    in_use,
    input_words,
    worth_lines,
)
from kdcli.report.table import (
    class_table,
    exit_table,
    file_table,
    heads,
    learning_table,
    roles,
    table,
)

Section = Callable[[Report], Iterator[str]]
"""A part of the page: lines of Markdown (`markdown_text`), none where the report has nothing to say
there."""


def markdown(report: Report) -> str:
    """report.md."""
    lines = [f"# {plain(report.run)}"]
    for section in SECTIONS:
        if found := list(section(report)):
            lines += ["", *found]
    return "\n".join(lines) + f"\n\nkd {plain(report.kd)}\n"


def _verdict(report: Report) -> Iterator[str]:
    if report.verdict:
        yield f"**{plain(report.verdict)}**"


def _comparison(report: Report) -> Iterator[str]:
    yield from markdown_table(["", *heads(report)], table(report))


def _sentences(report: Report) -> Iterator[str]:
    yield from listed([*figures(report), *report.notes])


def _against(report: Report) -> Iterator[str]:
    if found := report.against:
        yield from (f"## Against {plain(found.release)}", "", plain(against_sentence(found)), "")
        yield from listed(against_lines(found, most=20))


def _classes(report: Report) -> Iterator[str]:
    if rows := class_table(report, roles(report)):
        names = dict(zip(roles(report), heads(report), strict=True))
        yield from markdown_table([names.get(head, head) for head in rows[0]], rows[1:])


def _exits(report: Report) -> Iterator[str]:
    if rows := exit_table(report):
        yield from markdown_table(rows[0], rows[1:])


def _learning(report: Report) -> Iterator[str]:
    if rows := learning_table(report):
        yield from markdown_table(rows[0], rows[1:])


def _data(report: Report) -> Iterator[str]:
    if data := report.data:
        words = f"{data.test_images} test images, {data.classes} classes"
        if data.imbalance is not None:
            words += f", largest : smallest training class {data.imbalance:.3g} : 1"
        yield f"Data: {plain(data.name)}, {words}."


def _licences(report: Report) -> Iterator[str]:
    if report.licences:
        yield from ("## Licences", "", plain(licence_line(report.licences)), "")
        yield from markdown_table(*licence_table(report.licences))


def _exports(report: Report) -> Iterator[str]:
    for number, export in enumerate(report.exports or []):
        yield from [""] * (number > 0)
        line = (
            f"ONNX: {code(export.path)}, {export.bytes:,} bytes, opset {export.opset}, "
            f"max |difference| to PyTorch {export.parity.max_abs:.1e} "
            f"on {export.parity.images} images.{as_sentence(plain(input_words(export)))}"
        )
        yield line + (f" {plain(fold_words(export.fold))}." if export.fold else "")
        yield from ("", *listed(in_use(export)))


def _files(report: Report) -> Iterator[str]:
    if rows := file_table(report.exports or []):
        yield from (*markdown_table(rows[0], rows[1:]), "")
        yield from listed(worth_lines(report.exports or []))


def _packages(report: Report) -> Iterator[str]:
    for number, package in enumerate(report.packages or []):
        yield from [""] * (number > 0)
        yield (
            f"For {package.format}: {code(package.path)}, {package.bytes:,} bytes, by "
            f"{plain(package.written_by)}, max |difference| to PyTorch "
            f"{package.parity.max_abs:.1e} on {package.parity.images} images."
        )


SECTIONS: tuple[Section, ...] = (
    _verdict,
    _comparison,
    _sentences,
    _against,
    _classes,
    _exits,
    _learning,
    _data,
    _licences,
    _exports,
    _files,
    _packages,
)
"""In the order of the page."""
