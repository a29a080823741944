"""The number of its format that each kind of file carries, and what is said of others.

It counts up when a kd of before would read the new file wrongly; it is part of no digest. A file
without one is of a kd from before there were numbers, format 0.
"""

from dataclasses import dataclass
from pathlib import Path

from kdcli.core.errors import DamagedFile, OtherFormat

NUMBER = "format"
"""The key, but where another had been published."""
ANEW = "read it with the kd that wrote it, or make it anew with this one"


@dataclass(frozen=True)
class FileFormat:
    """What this kd writes and reads of one kind of file."""

    writes: int = 1
    oldest: int = 0
    """It reads these and all between."""
    key: str = NUMBER

    @property
    def reads(self) -> str:
        """`1`, `0 to 2`."""
        return f"{self.writes}" if self.oldest == self.writes else f"{self.oldest} to {self.writes}"

    @property
    def numbered(self) -> dict[str, int]:
        """What stands in a file that is written now."""
        return {self.key: self.writes}

    def refuse_others(self, place: Path, found: object = None, anew: str = ANEW) -> int:
        """The number that was `found` at `place` (None: none, 0), where this kd reads it.

        Raises:
            OtherFormat: it is newer, or older than the oldest; `anew` is what to do about that.
            DamagedFile: it is no number.
        """
        number = 0 if found is None else found
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise DamagedFile(f"{place}: damaged, its {self.key} is no number", anew)
        if number > self.writes:
            raise OtherFormat(
                f"{place}: written by a newer kd (format {number}, this kd reads {self.reads})",
                "pip install --upgrade kdcli",
            )
        if number < self.oldest:
            raise OtherFormat(
                f"{place}: written by an older kd (format {number}, this kd reads {self.reads})",
                anew,
            )
        return number


RUN = FileFormat()
"""run.yaml."""
NEEDS = FileFormat()
"""needs.json."""
STATE = FileFormat()
"""state.pt, state.former.pt."""
METRICS = FileFormat()
"""Each line of metrics.jsonl."""
SPLIT = FileFormat()
"""split.json, which no command reads."""
PREDICTIONS = FileFormat()
"""predictions.npz."""
ANSWERS = FileFormat()
"""A store of teachers' answers, in its manifest.json."""
MODEL = FileFormat(oldest=1, key="kd")
"""model.pt, model.NAME.pt."""
REPORT = FileFormat(oldest=1, key="schema")
"""report.json, model.NAME.report.json."""
ONNX = FileFormat(key="kd.format")
"""The metadata of exported files."""
