"""What RUN or FILE on the command line meant."""

import mimetypes
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from shlex import quote

from kdcli.core.errors import DataError, UsageError
from kdcli.core.examples import STUDENT, TEACHER
from kdcli.core.progress import Progress
from kdcli.core.text import did_you_mean
from kdcli.runs.find import all_runs, runs_root
from kdcli.runs.layout import EXPORTS, TIMM, is_model, is_ours
from kdcli.runs.run import Run


def newest() -> Run | None:
    """The newest finished run that a person asked for; damaged ones are passed over.

    Not the newest of all: that would be the baseline which `kd evaluate` has just trained.
    """
    runs = [run for run in all_runs() if run.finished and run.asked]
    return max(runs, key=lambda run: run.model.stat().st_mtime, default=None)


@dataclass(frozen=True)
class Located:
    """What RUN or FILE on the command line meant."""

    run: Run | None
    """None for a model.pt that lies alone."""
    model: Path

    @property
    def stem(self) -> str:
        """What files made of the model are called; weights.kd.pt was made of weights.pth."""
        return self.model.stem.removesuffix(".kd")

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.model.parent

    @property
    def exports(self) -> Path:
        """The folder to be copied to where it will be used."""
        return self.folder / (EXPORTS if self._inside else f"{self.stem}-{EXPORTS}")

    @property
    def timm(self) -> Path:
        """The folder that timm loads, one for each model: `timm`, `timm.peer_1`."""
        inside = self._inside and is_model(self.model.name)
        name = f"{TIMM}{self.stem.removeprefix('model')}" if inside else f"{self.stem}-{TIMM}"
        return self.folder / name

    @property
    def _inside(self) -> bool:
        """It lies in a run's folder."""
        return self.run is not None or (self.folder / "run.yaml").is_file()

    @property
    def ships(self) -> bool:
        """It is what its run was for, and no other model beside that."""
        return self.run is not None and self.model == self.run.model

    @property
    def role(self) -> str:
        """Of its run; of another model there its own: `exit_1`, `peer_0`, ..."""
        if self.run is None:
            return "student"
        return self.run.spec.role if self.ships else self.stem.removeprefix("model.")

    @property
    def report(self) -> Path:
        """Its record; report.json is that of what a run ships."""
        return self.model.with_name("report.json" if self.ships else f"{self.stem}.report.json")


def locate(thing: str | None, progress: Progress, which: str | None = None) -> Located:
    """A run folder or a model.pt as given; `model.pt` or nothing means the newest finished run,
    which is said. A model beside it (`model.peer_1.pt`) is a model.pt that lies alone.

    `which` names another model of the run than the one that ships, as `other_model` does.
    Anything else that is not there is refused, never guessed.

    Raises:
        UsageError: there is no such thing, or it is another file: an ONNX file, a run's report.
        DataError: the run has not finished.
    """
    if thing is not None and Path(thing).exists():
        found, said = _locate_path(Path(thing)), ""
    else:
        found, said = _guessed(thing)
    located = other_model(found, which) if which else found
    if said:  # only now: a refusal of `which` says enough
        progress.say(said)
    return located


def _guessed(thing: str | None) -> tuple[Located, str]:
    """The newest run, and what is to be said of that."""
    if thing not in (None, "model.pt"):
        raise UsageError(
            f"{thing}: no such file or folder", "give a run folder or a model.pt; kd list runs"
        )
    if (run := newest()) is None:
        raise UsageError(
            f"no finished run under {runs_root()}/",
            f"make one: kd distill --teacher {TEACHER} --student {STUDENT}",
        )
    shown = "no run given" if thing is None else "model.pt: none here"
    return Located(run, run.model), f"{shown}, using {run.model} (finished {_ago(run.model)})"


def other_model(located: Located, which: str) -> Located:
    """Another model of the same run, by its role: `exit_1`, `peer_0`, ...

    Raises:
        UsageError: a lone model.pt, or the run has no such model.
    """
    if located.run is None:
        raise UsageError(
            f"--which {which}: {located.model} lies alone, no run around it",
            "give that model's own file",
        )
    others = located.run.others()
    if which in others:
        return replace(located, model=others[which])
    raise UsageError(
        f"--which {which}: no other model of {located.run.path}{did_you_mean(which, others)}",
        f"it has {', '.join(others) or 'none'}; without --which, what ships",
    )


def refuse_other(path: Path) -> None:
    """Raise UsageError for a file that by its name is no model of PyTorch: it says what it is, and
    what takes such a file."""
    named = quote(str(path))
    if path.suffix.lower() == ".onnx":
        raise UsageError(
            f"{path}: is an ONNX file already, no model of PyTorch",
            f"kd inspect {named} shows what it is, kd evaluate {named} --test DATA measures it; "
            "for anything else give the run or the model.pt that it was made from",
        )
    if path.is_file() and (kind := _kind(path)):
        what, takes = _OTHERS[kind]
        fix = "; ".join(["give a run or a model.pt", *filter(None, [takes.format(named)])])
        raise UsageError(f"{path}: {what}, no model", fix)


_OTHERS = {
    "image": ("an image", "kd predict MODEL {} says what it shows"),
    "video": ("a video", ""),
    "audio": ("a sound", ""),
    "table": ("a table", "--data {} takes it"),
    "recipe": ("a YAML file", "--recipe {} takes a recipe"),
    "text": ("a text", ""),
}
_BY_ENDING = {
    **dict.fromkeys((".csv", ".tsv"), "table"),
    **dict.fromkeys((".yaml", ".yml"), "recipe"),
    **dict.fromkeys((".avif", ".heic", ".jp2", ".tga", ".webp"), "image"),
    **dict.fromkeys((".json", ".md", ".log", ".py", ".txt"), "text"),
}


def _kind(path: Path) -> str | None:
    """Of files that Python or the system knows by their ending; None: it may be a model."""
    first = (mimetypes.guess_type(path.name)[0] or "").partition("/")[0]
    return _BY_ENDING.get(path.suffix.lower()) or (first if first in _OTHERS else None)


def _locate_path(path: Path) -> Located:
    if path.is_dir():
        run = Run(path)
        run.file()  # refuses a folder that is no run, and a damaged one
        if not run.finished:
            raise DataError(
                f"{path}: this run has not finished", "repeat the command that started it"
            )
        return Located(run, run.model)
    if not path.is_file():  # /dev/zero would never end
        raise UsageError(f"{path}: a device or a pipe, no file", "give a run folder or a model.pt")
    inside = (path.parent / "run.yaml").is_file()
    if inside and is_ours(path.name) and not is_model(path.name):
        raise UsageError(
            f"{path}: one of a run's files; kd takes the run's folder",
            f"give the folder, as in kd inspect {quote(str(path.parent))}",
        )
    refuse_other(path)
    of_run = inside and is_model(path.name)
    return Located(Run(path.parent) if of_run else None, path)


def _ago(path: Path) -> str:
    seconds = max(0.0, datetime.now().timestamp() - path.stat().st_mtime)
    # a copied file, or a clock that was set back, may be of the future: 0 s then
    for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {word} ago"
    return f"{seconds:.0f} s ago"
