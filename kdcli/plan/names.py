"""What names on the command line mean: of models, of teachers, of what a training starts from."""

from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from kdcli.core.errors import UsageError
from kdcli.core.progress import Progress
from kdcli.models.build import resolve
from kdcli.models.given import is_given, parse, start_from
from kdcli.models.loading import read_args
from kdcli.recipe.edit import update
from kdcli.recipe.load import LoadedRecipe
from kdcli.runs.locate import locate, refuse_other
from kdcli.runs.spec import FileRef


def model_name(name: str, progress: Progress) -> str:
    """A timm name; families are narrowed down aloud."""
    resolved = resolve(name)
    if resolved.said:
        progress.say(resolved.said)
    return resolved.name


def teacher_name(thing: str, progress: Progress) -> str:
    """What `--teacher` means: a model.pt's path (of a run, or given), weights, or timm's name."""
    if is_given(thing):
        return parse(thing, progress).spelled
    if not is_file(thing):
        return model_name(thing, progress)
    return str(locate(thing, progress).model)


def architecture(thing: str, progress: Progress) -> str:
    """timm's name of what `--teacher` means."""
    if is_given(thing):
        return parse(thing, progress).model
    if not is_file(thing):
        return model_name(thing, progress)
    return read_args(locate(thing, progress).model)[0].name


def is_file(teacher: str) -> bool:
    """Whether a teacher is a path: one that is there, or one that looks like it, so that a path
    that is misspelled is called no file rather than no model of timm."""
    return Path(teacher).exists() or teacher.endswith((".pt", ".pth", ".safetensors"))


@dataclass(frozen=True)
class Start:
    """Who is to be trained, and from what."""

    model: str
    """timm's name."""
    weights: FileRef | None = None
    """None: random weights, or timm's."""


def starting_point(thing: str, progress: Progress) -> Start:
    """What `--student` means: timm's name, and the weights to start from where some are given."""
    if is_given(thing):
        given = parse(thing, progress)
        return Start(given.model, start_from(given))
    if Path(thing).is_file():
        refuse_other(Path(thing))
        raise UsageError(
            f"{thing}: a file, no model's name", f"say whose it is: {quote(f'NAME={thing}')}"
        )
    return Start(model_name(thing, progress))


def assistant_start(thing: str, progress: Progress) -> Start:
    """What `--assistant` means: as `--student`.

    Raises:
        UsageError: a finished run or file, which would be a teacher.
    """
    if not is_given(thing) and is_file(thing):
        raise UsageError(
            f"--assistant {thing}: an assistant is trained here, from what its teachers answer",
            f"name a model; a finished one is a teacher: --teacher {quote(thing)}",
        )
    return starting_point(thing, progress)


def started(loaded: LoadedRecipe, weights: FileRef | None) -> LoadedRecipe:
    """The recipe for a training that starts from given weights: they are its pretrained ones, so
    that the trunk's rate and tune=head are as for timm's."""
    if weights is None:
        return loaded
    return replace(loaded, recipe=update(loaded.recipe, {"student.pretrained": True}))
