"""`kd report`: the page of a run, drawn anew from what lies in its folder; of several, that of what
`kd compare` says."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from kdcli.commands.compare import compare
from kdcli.commands.comparison_file import draw_page
from kdcli.core.errors import DataError, UsageError
from kdcli.core.files import probe, sha256
from kdcli.core.progress import Progress
from kdcli.evaluation.page_facts.write import write_page
from kdcli.report.file import read_report
from kdcli.report.page.page import NAME
from kdcli.runs.locate import locate


@dataclass(frozen=True)
class Drawn:
    """A page as written."""

    runs: list[str]
    """One, or those that are compared, as they were typed."""
    file: Path
    bytes: int
    sections: list[str]
    """Their titles, in the order of the page."""
    lacking: dict[str, str]
    """Of those that show nothing, why."""
    sentence: str | None = None
    """Who is best of several."""

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "runs": self.runs,
            "sentence": self.sentence,
            "file": str(self.file),
            "bytes": self.bytes,
            "sections": self.sections,
            "lacking": self.lacking,
        }


def report(
    thing: str | None, *, out: Path | None = None, data: str | None = None, progress: Progress
) -> Drawn:
    """Draw the page of a finished run at `out`, else in its folder; `data` is where its images lie
    now.

    Raises:
        UsageError: no run, but a lone model.pt or another of its models.
        DataError: nothing has been measured yet; or `data` are others.
        DamagedFile: one of its files is not what kd writes.
        DiskError: it cannot be written; told before anything is drawn.
    """
    located = locate(thing, progress)
    run = located.run
    if run is None or not located.ships:
        raise UsageError(
            f"{located.model}: a model.pt without its run, or beside the one that it ships; a page "
            "is of a run",
            "give the run folder",
        )
    if out is not None and out.is_dir():
        out = out / NAME
    if out is not None:
        refuse_other_endings(out)
    found = read_report(run.path / "report.json", sha256(run.model))
    if found is None:
        raise DataError(
            f"{run.path}: no report of this model.pt yet",
            f"kd evaluate {quote(str(run.path))} measures it, and draws the page, too",
        )
    file = out or run.path / NAME
    probe(file.absolute().parent)
    page = write_page(run, found, file, progress, moved=data)
    titles = [section.title for section in page.sections]
    return Drawn([str(run.path)], file, file.stat().st_size, titles, page.lacking)


def refuse_other_endings(out: Path) -> None:
    """Raise UsageError unless it is a page's name: nothing else is written over."""
    if out.suffix.lower() not in (".html", ".htm"):
        plots = "; kd compare ... --plot FILE.svg draws plots alone"
        raise UsageError(
            f"--out {out}: no name of a page",
            f"FILE.html, or a folder{plots if out.suffix.lower() == '.svg' else ''}",
        )


def report_of_several(
    things: Sequence[str],
    *,
    out: Path | None = None,
    data: str | None = None,
    against: str | None = None,
    no_measure: bool = False,
    progress: Progress,
) -> Drawn:
    """Draw the page of what `compare` says of them, which says what is raised, at `out`, else in
    the current folder.

    Raises:
        UsageError: `out` is no page, or a run's own.
        DiskError: it cannot be written; told before anything is measured.
    """
    file = out / NAME if out and out.is_dir() else out or Path(NAME)
    if file.name == NAME and (file.parent / "run.yaml").is_file():
        raise UsageError(
            f"{file}: the page of the run that lies there", "--out FILE for that of several"
        )
    refuse_other_endings(file)
    probe(file.absolute().parent)
    found = compare(things, data=data, against=against, no_measure=no_measure, progress=progress)
    page = draw_page(found, file)
    titles = [section.title for section in page.sections]
    size = file.stat().st_size
    return Drawn(list(things), file, size, titles, page.lacking, found.sentence)
