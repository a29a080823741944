"""Rows 38 and 50: command lines of every command and flag that there is, and odd values."""

import shutil
from pathlib import Path
from typing import Any

import hostile
import pytest
import typer
from contract import Scratch, cases, holds, tried
from house import House
from hypothesis import strategies as st

from kdcli.cli import app
from kdcli.plan import fitting_students
from kdcli.recipe.load import recipe_keys

NOT_HERE = {"--help", "--install-completion", "--show-completion", "--debug", "--processes"}
"""Flags of the shell, one that shows tracebacks, one that starts processes."""
CHEAP = {"train": ["--dry-run"], "distill": ["--dry-run"], "sweep": ["--dry-run"]}
CHEAP |= {"evaluate": ["--no-train"], "compare": ["--no-measure"], "report": ["--no-measure"]}
"""What keeps a command from training and timing."""
GOOD = ("runs/kd", "runs/kd/model.pt", "runs/kd/export/model.onnx", "runs/kd/report.json", "digits")
GOOD += ("test_resnet", "test_vit", "kd", "dkd", "supervised", "cpu", "auto", "runs/teacher")


def commands() -> dict[str, Any]:
    """As typed, `list runs`: typer's command."""
    root: Any = typer.main.get_command(app)
    found = {}
    for name, command in root.commands.items():
        inner = getattr(command, "commands", {"": command})
        found |= {f"{name} {sub}".strip(): one for sub, one in inner.items()}
    return found


def values(command: str, flag: Any) -> st.SearchStrategy[str]:
    """Of a flag or an argument, good ones and others."""
    odd = hostile.numbers | hostile.texts | hostile.paths
    if flag.name == "settings" or "--set" in flag.opts:
        keys = st.sampled_from(recipe_keys()) | hostile.texts
        return st.builds("{}={}".format, keys, odd | st.just("{a: [1, 2]}"))
    if command == "doctor" and flag.name in ("student", "teacher"):
        return odd  # two good ones are tried for minutes
    named = str(flag.display_type).strip("<>").split("|")  # onnx|timm|torch
    good = st.sampled_from(named if len(named) > 1 else GOOD)
    return st.booleans().flatmap(lambda fits: good if fits else odd)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command, `--json` or not, some of its arguments and flags."""
    name, command = draw(st.sampled_from(sorted(commands().items())))
    words = [*name.split(), *CHEAP.get(name, [])]
    params = [p for p in command.params if not NOT_HERE & set(p.opts)]
    flags = [p for p in params if p.param_type_name == "option" and "--json" not in p.opts]
    for one in params:
        if one.param_type_name == "argument" and draw(st.integers(0, 9)):
            words += draw(st.lists(values(name, one), min_size=1, max_size=1 + (one.nargs < 0)))
    chosen = st.lists(st.sampled_from(flags), max_size=3) if flags else st.just([])
    for flag in draw(chosen):
        words.append(flag.opts[0])
        words += [] if flag.is_flag else [draw(values(name, flag))]
    return words + ["--json"] * draw(st.booleans())


KNOWN = [
    ["train", "x", "--recipe", "kd", "--recipe", "kd", "--lr", "1"],  # a crash inside the refusal
    ["inspect", "\x9b1m", "--json"],  # JSON leaves it raw, some terminals obey it
]


@cases(few=15, many=3500)
def test_any_command_line_ends_in_a_documented_way(
    count: int, finished_once: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def furnish(folder: Path) -> None:
        hostile.lie_about(folder)
        shutil.copytree(finished_once.student, folder / "runs" / "kd")
        shutil.copytree(finished_once.teacher, folder / "runs" / "teacher")

    monkeypatch.setattr(fitting_students, "EDGE", {"test": ("test_resnet", "no_such")})
    monkeypatch.setattr(fitting_students, "model_names", lambda: ["test_vit", "test_convnext"])
    scratch = Scratch(tmp_path / "here", monkeypatch, furnish)

    def check(words: list[str]) -> None:
        holds(*words, folder=scratch.anew())

    tried(count, command_lines(), KNOWN, check)
