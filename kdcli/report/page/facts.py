"""What the page shows beyond report.json; `evaluation/page_facts/` gathers it.

Every part may be None: `Facts.lacking` says why, by the name of the field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kdcli.report.model import Range


@dataclass(frozen=True)
class SeedGain:
    """Student - baseline of one seed, as a fraction, and its 95% interval."""

    seed: int
    gain: float
    ci95: Range


@dataclass(frozen=True)
class Curve:
    """One training: accuracies by epoch."""

    role: str
    seed: int
    epochs: tuple[int, ...]
    train: tuple[float, ...]
    validation: tuple[float, ...]


@dataclass(frozen=True)
class Shares:
    """What each term of the student's loss had of its gradient, by epoch."""

    epochs: tuple[int, ...]
    terms: dict[str, tuple[float, ...]]
    """Of each epoch they add up to 1."""


BINS = 15
"""Of confidence, equally wide, as in the expected calibration error."""


@dataclass(frozen=True)
class Bin:
    """Answers whose confidence lies in one of the bins."""

    confidence: float
    """Their mean."""
    accuracy: float
    share: float
    """Of all answers."""


@dataclass(frozen=True)
class Confusion:
    """What the student takes the images of each class for; means over seeds."""

    classes: tuple[str, ...]
    shares: tuple[tuple[float | None, ...], ...]
    """Row: the image's class; its cells add up to 1, or are None without test images."""


@dataclass(frozen=True)
class Confused:
    """Two classes of many."""

    shown: str
    taken_for: str
    images: int
    """Test images of the class that is shown."""
    student: float
    """The share of them that is taken for the other."""
    teacher: float | None


@dataclass(frozen=True)
class Answer:
    """The likeliest class of one model to one image."""

    who: str
    said: str
    probability: float
    right: bool


@dataclass(frozen=True)
class Tile:
    """A test image with all answers; `picture` is a data URI."""

    picture: str
    id: str
    label: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Differing:
    """Images that one of student and baseline gets right, of this run's own seed."""

    only_student: int
    only_baseline: int
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Wrong:
    """Images that the student is surest of, and wrong."""

    images: int
    """On which it is wrong at all."""
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Looks:
    """One image, and where each model's attention map lies on it; data URIs by who."""

    picture: str
    label: str
    maps: dict[str, str]


@dataclass(frozen=True)
class Attention:
    """Where models look."""

    grids: dict[str, tuple[int, int]]
    """Height and width of the maps, by who."""
    rows: tuple[Looks, ...]


@dataclass(frozen=True)
class Softened:
    """One image, and an answer to it at several temperatures."""

    picture: str | None
    label: str
    why: str
    """`sure`, `unsure` or `wrong`."""
    classes: tuple[str, ...]
    """The likeliest, in this order at any temperature."""
    shares: tuple[tuple[float, ...], ...]
    """A row per temperature: their probabilities, which others share the rest of."""


@dataclass(frozen=True)
class SoftTargets:
    """What a model's answers look like when they are softened."""

    who: str
    temperatures: tuple[float, ...]
    own: float | None
    """The one that the student was taught at."""
    images: tuple[Softened, ...]


@dataclass(frozen=True)
class Story:
    """What was run."""

    recipe_name: str
    recipe: str
    """YAML, resolved."""
    who: tuple[tuple[str, str], ...]
    """Roles of the spec, and what they are."""
    data: str
    seeds: tuple[int, ...]
    started: str
    threads: int | None
    versions: dict[str, str]
    machine: str | None
    """On which it was trained, where its log says so."""
    commands: tuple[str, ...]
    """As they were typed, the first first."""


@dataclass(frozen=True)
class Facts:
    """All of it."""

    files_ci95: Mapping[str, Range] = field(default_factory=dict)
    """Of exported files' accuracies, by path."""
    gains: tuple[SeedGain, ...] | None = None
    curves: tuple[Curve, ...] | None = None
    shares: Shares | None = None
    reliability: dict[str, tuple[Bin, ...]] | None = None
    """By role."""
    confusion: Confusion | None = None
    confused: tuple[Confused, ...] | None = None
    """In place of `confusion` where there are many classes: the most confused pairs."""
    differing: Differing | None = None
    wrong: Wrong | None = None
    attention: Attention | None = None
    softened: SoftTargets | None = None
    story: Story | None = None
    lacking: Mapping[str, str] = field(default_factory=dict)
    """Why a field is None."""
