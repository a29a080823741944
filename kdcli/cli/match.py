"""`kd match`: both models' stages, which answers which, and which methods that allows."""

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from kdcli.cli.console import Console
from kdcli.cli.entry import door
from kdcli.cli.flags import Data, Debug, Json, Recipe, Set, Student, Teacher
from kdcli.core.text import short

if TYPE_CHECKING:
    from kdcli.commands.match import Answer, Matched, Use
    from kdcli.models.stages import Stage, StageTable


def show_matched(console: Console, found: "Matched", command: str) -> None:
    """`kd match`; `command` trains this pair."""
    for role, table in (("student", found.student), ("teacher", found.teacher)):
        _show_stages(console, role, table)
    console.line("who answers whom")
    console.table(
        ["student", "channels", "stride", "signed", "<- teacher", "channels", "stride", "signed"],
        [_answer(answer) for answer in found.answers],
    )
    console.line(_about_signs(found))
    console.line()
    rows = [_use(use) for use in found.methods]
    console.table(["method", "knowledge", "learns", "applies"], rows, figures=False)
    for use in found.methods:
        if not use.works:
            console.line(f"- {use.method}: {use.reason}")
    pairs = [[a.student.index, a.teacher.index] for a in found.answers]
    console.line(f"to choose yourself: --set 'match.pairs={pairs}'")
    console.next(command)


def _show_stages(console: Console, role: str, table: "StageTable") -> None:
    console.line(f"{role} {table.model}, {table.input_size} pixels")
    if table.columnar:
        first, last = table.stages[0], table.stages[-1]
        console.line(
            f"stages {first.index} to {last.index}: all of {_grid(first)} cells, stride "
            f"{first.stride:g}, {first.channels} channels; matched by depth"
        )
    else:
        console.table(["stage", "channels", "grid", "stride"], [_stage(s) for s in table.stages])
    console.line()


def _stage(stage: "Stage") -> list[str]:
    return [str(stage.index), str(stage.channels), _grid(stage), f"{stage.stride:g}"]


def _grid(stage: "Stage") -> str:
    return f"{stage.height} x {stage.width}"


def _answer(answer: "Answer") -> list[str]:
    mine, theirs = answer.student, answer.teacher
    return [
        *(str(mine.index), str(mine.channels), f"{mine.stride:g}", _sign(answer.student_signed)),
        *(str(theirs.index), str(theirs.channels), f"{theirs.stride:g}"),
        _sign(answer.teacher_signed),
    ]


def _sign(signed: bool | None) -> str:
    return "unknown" if signed is None else "yes" if signed else "no"


def _about_signs(found: "Matched") -> str:
    if found.data is None:
        return "signed: whether a map has negative values; give --data DIR to see"
    return f"signed: whether a map has negative values, on images of {found.data}"


def _use(use: "Use") -> list[str]:
    plural = "" if use.parameters == 1 else "s"
    learns = f"{short(use.parameters)} weight{plural}" if use.parameters else "-"
    return [use.method, use.kind, learns, "yes" if use.works else "no"]


def match(
    teacher: Teacher = None,
    student: Student = None,
    recipe: Recipe = "kd",
    data: Data = None,
    set_: Set = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Which stage of a student answers which of a teacher, and which methods that allows."""
    with door(json) as console:
        from kdcli.commands.match import match
        from kdcli.plan.ask import Ask

        settings = tuple(set_ or ())
        found = match(
            teacher, student, recipe=recipe, settings=settings, data=data, progress=console
        )
        ask = Ask(
            recipe="joint" if recipe == "kd" else recipe,  # which knows of stages
            settings=settings,
            teachers=(teacher,) if teacher else (),
            student=student,
            data=data,
        )
        show = partial(show_matched, command=ask.command("distill"))
        console.show(found, asdict, show)
