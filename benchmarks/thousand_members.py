"""A thousand tiny members, compressed into one student: time, memory, and whether it pays.

    python benchmarks/thousand_members.py [--members 1000] [--student one_wide_hidden] [--json]

The members are networks of one hidden layer of eight units on the built-in digits at 8 x 8 pixels,
registered with timm as anybody's own models can be; the student is such a network, or one of 64
units. Each member is an ordinary run, of another seed and another 60 to 100% of the images; the
student learns from the labels that they give together. Resumable: members in DIR are reused, so
that 10, 100 and 1,000 share theirs.
"""

import argparse
import json
import os
import resource
import sys
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from tables import add_json, show
from timm.models import register_model
from torch import Tensor, nn

from kdcli.cli import main as kd

PIXELS = 8
TRAINING = {"data.augment": "null", "train.epochs": 10, "train.batch_size": 64, "train.lr": 0.01}
"""Of members, student and baseline alike."""


class OneHidden(nn.Module):
    """Pixels, one hidden layer, classes; with the methods that timm's own models have, as far as kd
    asks for them: logits and embedding, no stages."""

    def __init__(self, num_classes: int = 10, hidden: int = 8) -> None:
        super().__init__()
        self.num_classes, self.num_features, self.head_hidden_size = num_classes, hidden, hidden
        self.hidden = nn.Linear(3 * PIXELS**2, hidden)
        self.fc = nn.Linear(hidden, num_classes)

    def get_classifier(self) -> nn.Module:
        return self.fc

    def reset_classifier(self, num_classes: int) -> None:
        self.num_classes, self.fc = num_classes, nn.Linear(self.num_features, num_classes)

    def forward_features(self, images: Tensor) -> Tensor:
        features: Tensor = self.hidden(images.flatten(1)).relu()
        return features

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        logits: Tensor = features if pre_logits else self.fc(features)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))


@register_model
def one_hidden(pretrained: bool = False, num_classes: int = 10, **options: Any) -> nn.Module:
    """timm finds it by this name."""
    return OneHidden(num_classes)


@register_model
def one_wide_hidden(pretrained: bool = False, num_classes: int = 10, **options: Any) -> nn.Module:
    """The same with 64 units."""
    return OneHidden(num_classes, hidden=64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument(
        "--student", choices=("one_hidden", "one_wide_hidden"), default="one_hidden"
    )
    parser.add_argument("--pool", type=Path, default=Path("runs/thousand-pool"))
    add_json(parser)
    asked = parser.parse_args()
    os.environ["KD_RUNS"] = str(asked.pool)
    asked.pool.mkdir(parents=True, exist_ok=True)
    recipe = asked.pool / "member.yaml"
    recipe.write_text(member(), "utf-8")
    clock = time.monotonic()
    training = {"data.image_size": PIXELS} | TRAINING
    on = [word for key, value in training.items() for word in ("--set", f"{key}={value}")]
    who = ("--teacher", "one_hidden", "--student", asked.student, "--recipe", "compress")
    how = ("--set", f"teacher.recipe={recipe}", "--set", f"teacher.seeds={asked.members}")
    run = document("distill", *who, *how, *on)["run"]
    trained = time.monotonic() - clock
    report = document("evaluate", run, "--seeds", "3")
    # of the process, ever: kilobytes on Linux
    memory = 1e3 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = {
        "members": asked.members,
        "student": asked.student,
        "accuracies": {role: part["accuracy"] for role, part in report["models"].items()},
        "distill_seconds": trained,
        "evaluate_seconds": time.monotonic() - clock - trained,
        "memory_bytes": memory,
    }
    show(asked, figures, [in_a_line(figures)])


def member() -> str:
    """The recipe that trains one, as the student is trained: else a gain might be the recipe's."""
    lines = ["scheme: alone"]
    for section in ("data", "train"):
        keys = {k.removeprefix(f"{section}."): v for k, v in TRAINING.items() if section in k}
        lines.append(
            f"{section}: {{{', '.join(f'{key}: {value}' for key, value in keys.items())}}}"
        )
    return "\n".join(lines) + "\n"


def document(*arguments: str) -> dict[str, Any]:
    """What `kd ... --json` prints; it must succeed."""
    out = StringIO()
    with redirect_stdout(out):
        code = kd([*arguments, "--json"])
    if code:
        sys.exit(out.getvalue())
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def in_a_line(figures: dict[str, Any]) -> str:
    """Accuracies, seconds, and the most memory that the process ever held."""
    accuracies = figures["accuracies"].items()
    shown = ", ".join(f"{role} {100 * value:.1f}%" for role, value in accuracies)
    return (
        f"{figures['members']} members, {figures['student']}: {shown}; "
        f"distill {figures['distill_seconds']:.0f} s, "
        f"evaluate {figures['evaluate_seconds']:.0f} s, "
        f"at most {figures['memory_bytes'] / 1e9:.2f} GB"
    )


if __name__ == "__main__":
    main()
