"""A comparison drawn into a file, by its ending: plots as .svg, or the whole page as .html."""

from pathlib import Path

from kdcli.core.errors import DiskError, UsageError
from kdcli.core.files import probe, write_text
from kdcli.core.progress import Silent
from kdcli.evaluation.page_facts.story import curve
from kdcli.report.candidates import Compared
from kdcli.report.page.facts import Curve
from kdcli.report.page.page import Page, draw_comparison
from kdcli.report.page.svg_file import svg_file
from kdcli.runs.locate import locate
from kdcli.runs.run import Run


def check_plot(file: Path) -> None:
    """Before anything is measured.

    Raises:
        UsageError: it is neither.
        DiskError: it could not be written.
    """
    if file.suffix.lower() not in (".svg", ".html"):
        raise UsageError(
            f"--plot {file}: neither .svg nor .html",
            "FILE.svg for the plots alone, FILE.html for a page with all tables",
        )
    folder = file.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"--plot {file}: no folder {folder}", "make it, or give another place")
    try:
        probe(folder)
    except DiskError as error:
        raise DiskError(f"--plot {file}: {error.what}", "give another place") from error


def draw_into(found: Compared, file: Path) -> Compared:
    """The comparison, which says then where it was drawn.

    Raises:
        DiskError: it cannot be written.
    """
    if file.suffix.lower() == ".svg":
        write_text(file, svg_file(found))
    else:
        draw_page(found, file)
    return found.model_copy(update={"plot": str(file)})


def draw_page(found: Compared, file: Path) -> Page:
    """With learning curves, where logs are at hand. Raises DiskError: it cannot be written."""
    page = draw_comparison(found, _curves(found))
    write_text(file, page.html)
    return page


def _curves(found: Compared) -> dict[str, Curve]:
    """Of each candidate's first seed, where its log lies there; files have none of their own."""
    runs = {one.run: _run(one.run) for one in found.candidates if one.role != "file"}
    known = {typed: curve("student", run) for typed, run in runs.items() if run}
    return {typed: one for typed, one in known.items() if one}


def _run(typed: str) -> Run | None:
    path = Path(typed)
    if path.suffix != ".json":
        return locate(typed, Silent()).run
    return Run(path.parent) if (path.parent / "run.yaml").is_file() else None
