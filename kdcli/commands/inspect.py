"""`kd inspect`: what a name, a run, a model.pt or an ONNX file is, without training anything."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kdcli.core.errors import DamagedFile, UsageError
from kdcli.core.files import sha256
from kdcli.core.progress import Progress, Silent
from kdcli.data.source import Source
from kdcli.deploy.onnx_file.read import Description, describe
from kdcli.evaluation.cost import costs
from kdcli.models.adopt import alone
from kdcli.models.build import build_meta, plan
from kdcli.models.cards import Card, card
from kdcli.models.given import is_given, parse, read_labels
from kdcli.models.loading import Loaded, load
from kdcli.models.model_args import ModelArgs
from kdcli.plan.data import open_data
from kdcli.plan.names import model_name
from kdcli.plan.teachers import shown_on
from kdcli.report.file import read_report
from kdcli.report.licences import LicencesPart
from kdcli.report.schema import Report
from kdcli.runs.locate import locate
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec
from kdcli.training.devices import open_device
from kdcli.training.licences import licences_of

_FILES = (".pt", ".pth", ".onnx", ".safetensors", ".ckpt", ".bin")
"""Endings of a path, even one where nothing lies: no model of timm is called so."""


@dataclass(frozen=True)
class Module:
    """What is built from a name, and what it costs."""

    args: ModelArgs
    kind: str
    """The class in timm."""
    params: int
    macs: int | None
    """None: not countable without running it."""


@dataclass(frozen=True)
class Model:
    """A name that timm knows: counted on the meta device, nothing is fetched."""

    card: Card
    module: Module


@dataclass(frozen=True, eq=False)
class Trained:
    """A model.pt, and the run around it."""

    path: Path
    file_bytes: int
    card: Card
    module: Module
    loaded: Loaded
    run: Run | None
    outcome: dict[str, Any]
    """How its training ended; empty for a lone file."""
    needs: dict[str, str]
    """The files that it was made from, by role."""
    report: Report | None
    licences: LicencesPart
    """Of what it was made from."""
    spelled: str | None = None
    """Of somebody else's weights: as the command line takes them."""
    source: Source | None = None
    """And the data that chose the size they are fed with."""

    @property
    def beside(self) -> list[Path]:
        """The files of those that learnt with it."""
        everyone = [self.run.model, *self.run.others().values()] if self.run else []
        return [path for path in everyone if path != self.path]

    @property
    def role(self) -> str | None:
        """What it says of itself: `student`, `teacher`, `peer`, `exit`, `given`, ..."""
        return self.loaded.file.provenance.get("role")

    @property
    def ships(self) -> bool:
        """It is what its run was for, and no other model beside that."""
        return self.run is not None and self.path == self.run.model

    @property
    def spec(self) -> Spec | None:
        """What it was trained by: its run's, of a teacher that learnt along its own."""
        if self.run is None:
            return None
        spec = self.run.spec
        own = {self.run.other(name): ref.spec for name, ref in spec.alongside.items()}
        return own.get(self.path) or spec

    @property
    def began_pretrained(self) -> bool:
        """Whether training began from timm's weights."""
        return (self.loaded.file.recipe.get("student") or {}).get("pretrained") is True


@dataclass(frozen=True)
class Onnx:
    """An ONNX file."""

    path: Path
    file_bytes: int
    description: Description
    report: Report | None
    """Of the model.pt beside it, where that lists this very file."""
    sha256: str


Inspected = Model | Trained | Onnx


def inspect(
    thing: str, progress: Progress, data: str | None = None, classes: Path | None = None
) -> Inspected:
    """Look at one thing: paths first, then names; at somebody else's weights on `data`, if given,
    with the names of their classes in the file `classes`.

    Raises:
        UsageError: there is no such file, run or model.
        DamagedFile: it is not kd's, or damaged; nothing in it was run.
    """
    if is_given(thing):
        return _given(thing, data, classes, progress)
    path = Path(thing)
    if path.suffix.lower() == ".onnx":
        return _onnx(path, progress)
    is_run = path.is_dir() and (path / "run.yaml").is_file()
    means_a_path = path.name != thing or path.suffix.lower() in _FILES
    if path.is_file() or is_run or means_a_path:
        return _trained(thing, progress)
    try:
        return _model(model_name(thing, progress))
    except UsageError as error:
        raise UsageError(
            error.what, f"{error.fix}; or give a run folder, a model.pt, an .onnx file"
        ) from error


def _model(name: str) -> Model:
    found = card(name)
    classes = (found.weights.classes if found.weights else 0) or 1000
    return Model(found, _module(plan(name, classes, found.input_size, None)))


def _module(args: ModelArgs) -> Module:
    return Module(args, type(build_meta(args.single)).__name__, **costs(args))


def _given(thing: str, data: str | None, classes: Path | None, progress: Progress) -> Trained:
    """Somebody else's weights, as kd would adopt them; nothing is kept."""
    given = parse(thing, progress)
    source = open_data(data, progress)[0] if data is not None else None
    labels = read_labels(classes) if classes else None
    with TemporaryDirectory() as scratch:
        folder, device = Path(scratch), open_device("auto")
        known = shown_on(source, given, folder, device, labels, progress) if source else None
        loaded = load(known or alone(given, folder, None, labels, Silent()))
    return Trained(
        path=given.file,
        file_bytes=given.file.stat().st_size,
        card=card(loaded.args.name),
        module=_module(loaded.args),
        loaded=loaded,
        run=None,
        outcome={},
        needs={},
        report=None,
        licences=licences_of(loaded.file),
        spelled=given.spelled,
        source=source,
    )


def _trained(thing: str, progress: Progress) -> Trained:
    located = locate(thing, progress)
    path, run = located.model, located.run
    loaded = load(path)
    return Trained(
        path=path,
        file_bytes=path.stat().st_size,
        card=card(loaded.args.name),
        module=_module(loaded.args),
        loaded=loaded,
        run=run,
        outcome=run.outcome() if run else {},
        needs={role: str(need.path) for role, need in run.needs().items()} if run else {},
        report=_report(located.report, path, progress),
        licences=licences_of(loaded.file, run.spec if run else None),
    )


def _onnx(path: Path, progress: Progress) -> Onnx:
    description, digest = describe(path), sha256(path)
    folders = (path.absolute().parent, path.absolute().parent.parent)
    places = [place for folder in folders for place in sorted(folder.glob("*report.json"))]
    reports = [_report(place, model, progress) for place in places for model in _reported(place)]
    listed = [r for r in reports if r and any(e.sha256 == digest for e in r.exports or [])]
    return Onnx(path, path.stat().st_size, description, next(iter(listed), None), digest)


def _reported(place: Path) -> list[Path]:
    """The model.pt that a report is of: `report.json` and `model.exit_1.report.json` tell."""
    stem = place.name.removesuffix("report.json").rstrip(".") or "model"
    return [model for end in (".pt", ".kd.pt") if (model := place.with_name(stem + end)).is_file()]


def _report(place: Path, model: Path, progress: Progress) -> Report | None:
    """What was measured of this model.pt; a damaged report is said, and hides nothing else."""
    try:
        return read_report(place, sha256(model))
    except DamagedFile as error:
        progress.warn(error.what)
        return None
