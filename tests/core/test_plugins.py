"""A package of one's own brings a method: it is listed, checked, and trains a student."""

from itertools import product
from pathlib import Path

import pytest
import yaml
from house import House, kd, kd_ok

from kdcli.core import registry
from kdcli.core.errors import UsageError
from kdcli.runs.run import Run
from kdcli.training.compatibility import Cell

MODULE = '''
"""One method, as a package of somebody's own would bring it."""

from pydantic import PositiveFloat

from kdcli.core.method import Method


class Absolute(Method):
    """Logits at a small distance (nobody in particular), arXiv:0000.00000."""

    kind = "response"
    needs = frozenset({"logits"})
    default_weight = 2.0
    weight_source = "made up"

    power: PositiveFloat = 1.0
    """Of the distance."""

    def loss(self, student, teacher, batch, adapter):
        return absolute_loss(student.logits, teacher.logits, self.power)


def absolute_loss(student, teacher, power):
    """Mean distance to the power."""
    return (student - teacher).abs().pow(power).mean()
'''


def install(folder: Path, entry: str = "absolute = kd_absolute:Absolute") -> None:
    """What pip leaves behind: the module, and a dist-info folder that names its entry points."""
    (folder / "kd_absolute.py").write_text(MODULE)
    info = folder / "kd_absolute-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kd-absolute\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[kdcli.methods]\n{entry}\n")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package, on the path."""
    install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Names the plug-in's method, with an option."""
    path = tmp_path / "mine.yaml"
    train = {"epochs": 1, "batch_size": 128}  # one step
    path.write_text(yaml.safe_dump({"methods": {"absolute": {"power": 2}}, "train": train}))
    return path


def test_it_trains_a_student(installed: None, recipe: Path, small: House, pictures: Path) -> None:
    line = ("distill", "--teacher", small.teacher, "--student", "test_efficientnet")
    answer = kd_ok(*line, "--data", pictures, "--recipe", recipe, "--json")
    run = Run(Path(answer.document["run"]))
    (epoch, _) = run.lines()
    assert epoch["step"] == 1
    assert epoch["terms"]["absolute"] > 0
    assert epoch["weights"] == {"task": 1.0, "absolute": 2.0}
    assert 0 < epoch["share_of_gradient"]["absolute"] < 1
    assert run.spec.recipe.methods["absolute"].options == {"power": 2.0}


def test_it_is_listed_beside_the_built_in_ones(installed: None) -> None:
    found = {m["name"]: m for m in kd_ok("list", "methods", "--json").document["methods"]}
    assert {"absolute", "kd", "at"} <= found.keys()
    assert found["absolute"]["built_in"] is False
    assert found["absolute"]["options"][0]["what"] == "Of the distance."
    assert "│ absolute " in kd_ok("list", "methods").out


def test_its_options_are_checked(installed: None, recipe: Path) -> None:
    answer = kd("recipe", "check", recipe, "--set", "methods.absolute.powr=2")
    assert answer.code == 2
    assert (
        "methods.absolute.powr: unknown key; did you mean 'methods.absolute.power'?" in answer.err
    )


def test_it_is_not_in_the_page_of_methods(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from docs import generate

    names = [registry.names(kind) for kind in ("schemes", "methods")]
    cells = tuple(Cell(scheme, method, trains=True) for scheme, method in product(*names))
    assert any(cell.method == "absolute" for cell in cells)
    monkeypatch.setattr(generate, "grid", lambda: cells)
    assert "`absolute`" not in (page := generate.methods_page())
    assert "### absolute" not in page


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("absolute = kd_nowhere:Absolute", "cannot be imported: No module named 'kd_nowhere'"),
        ("absolute = kd_absolute:Nothing", "cannot be imported: module 'kd_absolute' has no"),
        ("absolute = kd_absolute:absolute_loss", "is no Method"),
    ],
)
def test_a_broken_one_is_told_by_the_name_of_its_package(
    entry: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, entry)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError) as caught:
        registry.load("methods", "absolute")
    assert caught.value.what.startswith(
        f"method 'absolute': {entry.split(' = ')[1]} of the plug-in"
    )
    assert f"kd-absolute {words}" in caught.value.what
    assert registry.load("methods", "kd").__name__ == "KD", "the others work"
