"""report.html beside report.json: drawn from both, written whole."""

from contextlib import suppress
from pathlib import Path

from kdcli.core.files import write_text
from kdcli.core.progress import Progress
from kdcli.core.text import first_line
from kdcli.data.source import Source
from kdcli.evaluation.page_facts.gather import gather
from kdcli.report.page.page import NAME, Page, draw
from kdcli.report.schema import Report
from kdcli.runs.run import Run


def write_page(
    run: Run,
    report: Report,
    out: Path,
    progress: Progress,
    source: Source | None = None,
    moved: str | None = None,
) -> Page:
    """The page of a finished run, at `out`; `source` and `moved` as `gather` has them, which says
    what is raised.

    Raises:
        DiskError: it cannot be written.
    """
    page = draw(report, gather(run, report, progress, source, moved))
    write_text(out, page.html)
    return page


def try_to_write_page(
    record: Path, report: Report, progress: Progress, source: Source | None = None
) -> None:
    """The page beside a run's report.json, which has been written; whatever goes wrong is a
    warning, and a page of earlier figures goes. Other records, of a model beside model.pt or a lone
    one, have no page."""
    run = Run(record.parent)
    if record.name != "report.json" or run.known is None:
        return
    try:
        write_page(run, report, record.with_name(NAME), progress, source)
    except Exception as error:
        why = first_line(error)
        with suppress(OSError):
            record.with_name(NAME).unlink()
        progress.warn(f"{record.with_name(NAME)}: not drawn ({why}); kd report tries again")
