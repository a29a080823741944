"""How the files of tests/attack/golden were made, so that the same command finds them."""

from pathlib import Path

from house import QUICK_TEACHER

GOLDEN = Path(__file__).parents[1] / "attack" / "golden"
MODEL = "test_efficientnet"
SHORT = ("--set", "train.epochs=2", "--set", "train.batch_size=8", "--set", "train.patience=null")
DISTILL = (
    *("distill", "--teacher", MODEL, "--student", MODEL, *SHORT),
    *("--set", "teacher.answers=stored", "--set", "teacher.views=1"),
    *("--set", "teacher.allow_weak=true", "--set", f"teacher.recipe={QUICK_TEACHER}"),
)
TRAIN = ("train", MODEL, "--seed", "7", *SHORT)
"""It is stopped after its first epoch."""
