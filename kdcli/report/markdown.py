"""A report as rows, lines and Markdown."""

from kdcli.report.licences import licence_line, licence_table
from kdcli.report.schema import Report
from kdcli.report.sentences import (
    _sentence,
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
    roles,
    table,
)


def markdown(report: Report) -> str:
    """report.md: verdict, table of all roles, notes, classes, data, licences, a part per file."""
    lines = [f"# {report.run}", ""]
    if report.verdict:
        lines += [f"**{report.verdict}**", ""]
    lines += markdown_table(["", *heads(report)], table(report))
    lines += ["", *(f"- {line}" for line in [*figures(report), *report.notes])]
    if rows := class_table(report, roles(report)):
        names = dict(zip(roles(report), heads(report), strict=True))
        lines += ["", *markdown_table([names.get(head, head) for head in rows[0]], rows[1:])]
    if rows := exit_table(report):
        lines += ["", *markdown_table(rows[0], rows[1:])]
    if data := report.data:
        words = f"{data.test_images} test images, {data.classes} classes"
        if data.imbalance is not None:
            words += f", largest : smallest training class {data.imbalance:.3g} : 1"
        lines += ["", f"Data: {data.name}, {words}."]
    if report.licences:
        lines += ["", "## Licences", "", licence_line(report.licences), ""]
        lines += markdown_table(*licence_table(report.licences))
    for export in report.exports or []:
        lines += [
            "",
            f"ONNX: `{export.path}`, {export.bytes:,} bytes, opset {export.opset}, "
            f"max |difference| to PyTorch {export.parity.max_abs:.1e} "
            f"on {export.parity.images} images.{_sentence(input_words(export))}",
        ]
        if export.fold:
            lines[-1] += f" {fold_words(export.fold)}."
        lines += ["", *(f"- {line}" for line in in_use(export))]
    if rows := file_table(report.exports or []):
        lines += ["", *markdown_table(rows[0], rows[1:]), ""]
        lines += [f"- {line}" for line in worth_lines(report.exports or [])]
    for package in report.packages or []:
        lines += [
            "",
            f"For {package.format}: `{package.path}`, {package.bytes:,} bytes, by "
            f"{package.written_by}, max |difference| to PyTorch {package.parity.max_abs:.1e} "
            f"on {package.parity.images} images.",
        ]
    return "\n".join(lines) + f"\n\nkd {report.kd}\n"


def markdown_table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of Markdown; all columns but the first hold figures."""
    cells = [[cell.strip().replace("|", "\\|") for cell in row] for row in [heads, *rows]]
    first, *others = [f"| {' | '.join(row)} |".replace("|  |", "| |") for row in cells]
    return [first, f"|---|{'---:|' * (len(heads) - 1)}", *others]
