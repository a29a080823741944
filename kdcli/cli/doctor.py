"""After `kd doctor`: the data as tables, or the machine."""

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import Debug, Json, Recipe, Set, Student, Teachers
from kdcli.core.examples import STUDENT, TEACHER

if TYPE_CHECKING:
    from kdcli.commands.doctor import Data, Machine
    from kdcli.data.source import Defaults, Schedule
    from kdcli.plan.loader_speed import LoaderSpeed

CLASSES = 20
"""Classes that stand in the table one by one; of more, the largest and smallest do."""


def show_data(console: Console, found: "Data") -> None:
    """`kd doctor DATA`."""
    from kdcli.commands.doctor import EXAMPLES
    from kdcli.core.text import some

    for note in found.notes:
        console.line(f"- {note}")
    console.table([found.name, ""], _facts(found), figures=False)
    console.table(["class", "images in training"], _classes(found.survey.per_class))
    console.table(
        ["kd would choose, without a recipe", ""], _choices(found.defaults), figures=False
    )
    survey = found.survey
    if found.loader:
        console.line(_loader(found.loader))
        for line in found.loader.advice(survey.sizes):
            console.line(line)
    for doubles in (survey.doubles, survey.near_doubles, survey.in_two_classes):
        for double in doubles[:EXAMPLES] if len(doubles) > 3 else ():
            console.line(f"the same image: {double}")
    if found.survey.ignored:
        console.line(f"ignored: {some(found.survey.ignored, EXAMPLES)}")
    for error in found.broken:
        console.line(f"broken: {error.what}")
    for line in found.survey.warnings() + found.survey.advice():
        console.warn(line)
    command = f"--data {shlex.quote(found.given)}"
    if found.advice:
        for line in found.advice.foretold.lines():
            console.line(line)
        console.next(found.advice.command)
    elif found.failure is None:
        console.next(
            f"kd distill --teacher {TEACHER} --student {STUDENT} {command} --dry-run",
            f"kd recipe show kd {command}",
        )
    else:
        console.next(f"kd doctor {shlex.quote(found.given)}")


def _document(found: "Data") -> dict[str, Any]:
    advice = {"prognosis": found.advice.as_dict()} if found.advice else {}
    return {"data": found.as_dict()} | advice


def _facts(found: "Data") -> list[list[str]]:
    from kdcli.data.quality.survey import described

    survey = found.survey
    rows = [[f"images, {role}", f"{count:,}"] for role, count in survey.images.items()]
    balance = f"{survey.imbalance:.1f} : 1" if survey.smallest[1] else "a class has no image"
    return [
        ["classes", f"{len(survey.per_class):,}"],
        *rows,
        ["largest : smallest class", balance],
        ["sizes", described(survey.sizes) if survey.sizes else "-"],
        ["in two splits", f"{len(survey.doubles):,}"],
        ["in two splits, nearly the same", f"{len(survey.near_doubles):,}"],
        ["in two classes", f"{len(survey.in_two_classes):,}"],
        ["broken", f"{len(found.broken):,}"],
        ["other files, ignored", f"{len(survey.ignored):,}"],
    ]


def _classes(per_class: dict[str, int]) -> list[list[str]]:
    rows = [[name, f"{count:,}"] for name, count in per_class.items()]
    if len(rows) <= CLASSES:
        return rows
    by_size = sorted(per_class.items(), key=lambda item: -item[1])
    half = CLASSES // 2
    shown = [*by_size[:half], *by_size[-half:]]
    rows = [[name, f"{count:,}"] for name, count in shown]
    return [*rows[:half], [f"... {len(per_class) - CLASSES:,} more ...", ""], *rows[half:]]


def _choices(defaults: "Defaults") -> list[list[str]]:
    size = f"{defaults.image_size} pixels"
    return [
        ["image size", f"the model's own, else {size}" if defaults.own_size else size],
        ["augmentation", _mirrored(defaults.augment)],
        ["weights to begin with", "pretrained" if defaults.pretrained else "random"],
        ["small models", _schedule(defaults.small)],
        ["models above 10 M parameters", _schedule(defaults.large)],
    ]


def _loader(speed: "LoaderSpeed") -> str:
    from kdcli.core.text import counted

    words = f"loader: {speed.images_per_second:,.0f} images per second"
    if speed.in_memory:
        return f"{words}, from memory"
    later = "; later epochs find them decoded" if speed.decoded_once else ""
    workers = counted(speed.workers, "worker")
    return f"{words} with {workers}, {speed.in_process:,.0f} without{later}"


def _mirrored(augment: str | None) -> str:
    from kdcli.data.augment import MIRRORED

    plain = MIRRORED.get(augment or "")
    return f"{augment} (mirrors; {plain} does not)" if plain else augment or "none"


def _schedule(schedule: "Schedule") -> str:
    words = f"{schedule.epochs} epochs, batch {schedule.batch_size}, rate {schedule.lr:g}"
    return words + (f", patience {schedule.patience}" if schedule.patience else "")


def show_machine(console: Console, found: "Machine") -> None:
    """`kd doctor`."""
    giga = 1e9
    used = f"{found.free_memory_bytes / giga:.1f} of {found.memory_bytes / giga:.1f} GB free"
    rows = [[name, version] for name, version in found.versions.items()]
    rows += [["system", found.system], ["cores", str(found.cores)], ["memory", used]]
    rows += [
        [device.name, f"{device.what}; {'fp32 and bf16' if device.bf16 else 'fp32'}"]
        for device in found.devices
    ]
    rows.append(["disk for runs", f"{found.free_disk_bytes / giga:.1f} GB free"])
    rows += [[f"folder: {what}", folder] for what, folder in found.folders.items()]
    console.table(["this machine", ""], rows, figures=False)
    console.line(f"--device auto takes {found.devices[0].name}")
    console.next("kd doctor DATA", f"kd distill --teacher {TEACHER} --student {STUDENT}")


def doctor(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="What --data takes: a folder, a table, a name; default: look at the machine.",
            show_default=False,
        ),
    ] = None,
    teacher: Teachers = None,
    student: Student = None,
    recipe: Recipe = "kd",
    set_: Set = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """What your data are, every image decoded; without DATA, what this machine is. With --teacher
    and --student: will the teacher pay? From short trainings, in five minutes at most."""
    with door(json) as console:
        from kdcli.commands.doctor import Machine, doctor
        from kdcli.core.errors import UsageError
        from kdcli.plan.ask import Ask

        ask = None
        if teacher or student or set_ or recipe != "kd":
            settings, taught_by = tuple(set_ or ()), tuple(teacher or ())
            ask = Ask(recipe, settings, teachers=taught_by, student=student, data=data)
            if not (data and teacher and student):
                raise UsageError(
                    "a prognosis needs the data, a teacher and a student",
                    f"kd doctor DATA --teacher {TEACHER} --student {STUDENT}",
                )
        found = doctor(data, ask, progress=console)
        if isinstance(found, Machine):
            return console.show(found, lambda it: {"machine": it.as_dict()}, show_machine)
        return console.show(found, _document, show_data, found.failure)
