"""FILE.yaml of `kd sweep`: every combination, and errors by file, line and key."""

from pathlib import Path

import pytest

from kdcli.core.errors import RecipeError
from kdcli.jobs.grid import read_grid

ISSUE = """\
common: {teacher: resnet101, data: photos, train.epochs: 30}
axes:
  recipe: [kd, dkd]
  student: [mobilenetv3_small_050, mobilenetv3_small_100]
  seed: [0, 1, 2]
exclude: [{recipe: dkd, student: mobilenetv3_small_050}]
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "cells.yaml"
    file.write_text(text, "utf-8")
    return file


def test_a_cell_is_the_command_that_one_would_type(tmp_path: Path) -> None:
    cells = read_grid(written(tmp_path, ISSUE)).cells
    assert len(cells) == 9
    assert cells[-1].words == "recipe=dkd student=mobilenetv3_small_100 seed=2"
    assert cells[-1].ask.command("distill") == (
        "kd distill --teacher resnet101 --student mobilenetv3_small_100 --recipe dkd "
        "--set train.epochs=30 --data photos --seed 2"
    )


def test_values_come_out_as_a_flag_takes_them(tmp_path: Path) -> None:
    text = """
    common: {student: s, train.until: {accuracy: 0.9}, train.patience: null, data.licence: "3"}
    axes: {teacher: [a, [b, c]], train.lr: [1e-5]}
    """
    one, other = read_grid(written(tmp_path, text)).cells
    assert (one.ask.teachers, other.ask.teachers) == (("a",), ("b", "c"))
    assert other.words == 'teacher=["b", "c"] train.lr=1e-05'
    assert set(one.ask.settings) == {
        'train.until={"accuracy": 0.9}',
        "train.patience=null",
        'data.licence="3"',
        "train.lr=1e-05",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("axes: {seed: [0]\n", "cells.yaml:2:1"),
        ("axis: {seed: [0]}", "cells.yaml:1: axis: unknown key; did you mean 'axes'?"),
        ("recipe: kd", "cells.yaml:1: recipe: unknown key; it stands under common: or axes:"),
        ("common:\n  train.eopchs: 3", "cells.yaml:2: common.train.eopchs: neither a flag"),
        ("common: {train.eopchs: 3}", "did you mean 'train.epochs'?"),
        ("axes: {studnet: [a]}", "did you mean 'student'?"),
        ("common: {seed: 0}\naxes:\n  seed: [1]", "cells.yaml:3: axes.seed: stands in common, too"),
        ("axes: {seed: []}", "cells.yaml:1: axes.seed: expects a list of at least 1"),
        ("axes: {seed: 3}", "axes.seed: expects a list, not 3"),
        ("axes: {seed: [0, -1]}", "axes.seed: expects a whole number from 0 on, not -1"),
        ("axes: {seed: [1, 1]}", "axes.seed: 1 stands twice"),
        ("common: {teacher: 3}", "common.teacher: expects a text, or a list of them, not 3"),
        ("common: {teacher: [a, '']}", "common.teacher: expects a name, not an empty text"),
        (
            "common: {train: {lr: 0.1}}\naxes: {train.lr: [0.1]}",
            "cells.yaml:2: axes.train.lr: train stands there as a block, too",
        ),
        ("", "cells.yaml: says nothing"),
        ("common: {device: cpu}", "a flag of kd sweep itself"),
        ("common: {train.lr: 2026-01-01}", "expects a plain value"),
        ("axes: {recipe: [kd]}\nexclude:\n- {recipe: dkd}", ":3: exclude.0.recipe: dkd is not on"),
        ("axes: {recipe: [kd]}\nexclude: [{student: a}]", "exclude.0.student: no axis"),
        ("axes: {seed: [1]}\nexclude: [{seed: 1}]", "exclude: leaves no cell"),
        ("export: 1", "export: expects true or false, not 1"),
    ],
)
def test_what_no_command_line_could_say_is_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as refused:
        read_grid(written(tmp_path, text))
    assert said in refused.value.what


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as refused:
        read_grid(written(tmp_path, "axis: {}\ncommon: {studnet: a}\naxes: {seed: [a]}"))
    assert [line.split(":")[1] for line in refused.value.problems] == ["1", "2", "3"]
