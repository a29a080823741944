"""What a person asked for, as flags say it, and the recipe's `who:` block below that."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcli.core.progress import Progress
from kdcli.recipe.schema import Recipe
from kdcli.recipe.who import Who

WHO = ("teachers", "assistants", "peers", "student", "data", "seed")
"""What a `who:` block may say, too."""


@dataclass(frozen=True)
class Ask:
    """The flags of `kd train` and `kd distill` that decide a training.

    Models are what the command line takes: timm's names, families, NAME=FILE, runs, files. What is
    None or empty comes from the recipe's `who:` block.
    """

    recipe: str
    """A shipped one's name, or a path."""
    settings: tuple[str, ...] = ()
    """`key=value`, over the recipe."""
    model: str | None = None
    """Of `kd train`: what learns."""
    teachers: tuple[str, ...] = ()
    assistants: tuple[str, ...] = ()
    """Between teachers and student, the largest first."""
    student: str | None = None
    peers: tuple[str, ...] = ()
    """Beside the student, in schemes that have such."""
    data: str | None = None
    classes: Path | None = None
    """A file that names the classes of a teacher's given weights."""
    seed: int | None = None
    seeds: int = 1
    """So many trainings, from `seed` on."""
    device: str = "auto"

    def command(self, verb: str) -> str:
        """The command line that asks for the same."""
        named = {
            "teacher": self.teachers,
            "assistant": self.assistants,
            "student": self.student,
            "peer": self.peers,
            "recipe": None if (verb, self.recipe) == ("distill", "kd") else self.recipe,
            "set": self.settings,
            "data": self.data,
            "classes": self.classes,
            "seed": self.seed,
            "seeds": None if self.seeds == 1 else self.seeds,
            "device": None if self.device == "auto" else self.device,
        }
        words = ["kd", verb, *([self.model] if self.model else [])]
        for flag, value in named.items():
            for one in value if isinstance(value, tuple) else (value,):
                words += [] if one is None else [f"--{flag}", str(one)]
        return shlex.join(words)

    def who(self, recipe: Recipe, progress: Progress) -> Who:
        """The recipe's `who:` block with the flags over it, said where they differ: a committed
        file is a whole job, and what was run otherwise must not pass for it."""
        file = recipe.who or Who()
        asked = {key: getattr(self, key) for key in WHO}
        # a seed of 0 is said, too: only what nobody said is left to the block
        given = {key: value for key, value in asked.items() if value not in (None, ())}
        for key, value in given.items():
            was = file.taught_by if key == "teachers" else getattr(file, key)
            if was not in (None, (), value):
                of_file = "teacher" if key == "teachers" and file.teacher else key
                progress.say(
                    f"{_spelled(key, value)} overrides who.{of_file}: {_shown(was)} of the recipe"
                )
        # `teacher` and `teachers` are one thing, of which a block may say either
        alone = {"teacher": None} if "teachers" in given else {}
        return file.model_copy(update=given | alone)


def _spelled(key: str, value: Any) -> str:
    each = value if isinstance(value, tuple) else (value,)
    flag = key.removesuffix("s") if isinstance(value, tuple) else key
    return " ".join(f"--{flag} {one}" for one in each)


def _shown(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return ", ".join(one if isinstance(one, str) else one.model for one in value)
