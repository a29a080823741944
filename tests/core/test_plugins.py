"""A package of one's own brings a method: it is listed, checked, and trains a student."""

from itertools import product
from pathlib import Path

import pytest
import yaml
from house import House, kd, kd_ok

from kdcli.core import registry
from kdcli.core.errors import UsageError
from kdcli.core.method import Method
from kdcli.core.plugins import faults
from kdcli.core.scheme import Scheme
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


def install(
    folder: Path,
    entry: str = "absolute = kd_absolute:Absolute",
    text: str = MODULE,
    package: str = "kd-absolute",
) -> None:
    """What pip leaves behind: the module, and a dist-info folder that names its entry points."""
    (folder / f"{entry.partition(' = ')[2].partition(':')[0]}.py").write_text(text)
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
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
    (tmp_path / "kd_absolute.py").write_text(MODULE)
    install(tmp_path, entry)
    (tmp_path / "kd_nowhere.py").unlink(missing_ok=True)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError) as caught:
        registry.load("methods", "absolute")
    assert caught.value.what.startswith(
        f"method 'absolute': {entry.split(' = ')[1]} of the plug-in"
    )
    assert f"kd-absolute {words}" in caught.value.what
    assert registry.load("methods", "kd").__name__ == "KD", "the others work"


@pytest.mark.parametrize(
    ("line", "instead", "words"),
    [
        ('    kind = "response"\n', "", "does not say its kind"),
        ('    kind = "response"\n', '    kind = "answer"\n', "of kind 'answer': one of response,"),
        ('    needs = frozenset({"logits"})\n', "", "does not say its needs"),
        ('frozenset({"logits"})', '["logits"]', "has needs that are no frozenset: ['logits']"),
        ('frozenset({"logits"})', 'frozenset({"logit"})', "needs logit: no fields of Outputs"),
        ("default_weight = 2.0", "default_weight = -2.0", "default_weight -2.0: no number above 0"),
        ("    default_weight = 2.0\n", "", "does not say its default_weight"),
        ('    weight_source = "made up"\n', "", "does not say its weight_source"),
        ("def loss(", "def lost(", "does not define loss()"),
        ("    power: Pos", '    model_config = {"frozen": False}\n    power: Pos', "frozen=False"),
        ("PositiveFloat = 1.0", "PositiveFloat", "an option without a default: power"),
        ("from pydantic import", "raise SystemExit(3)\nfrom pydantic import", "cannot be imported"),
    ],
)
def test_a_class_that_lacks_something_is_told_of_before_it_is_used(
    line: str, instead: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in a module of its own: Python imports one once."""
    name = f"kd_{abs(hash((line, instead)))}"
    install(tmp_path, f"absolute = {name}:Absolute", MODULE.replace(line, instead, 1))
    monkeypatch.syspath_prepend(tmp_path)
    check = ("recipe", "check", "kd", "--set", "methods.absolute.weight=1")
    for command in (("list", "methods"), check):
        answer = kd(*command)
        assert answer.code == 2, answer.err
        assert f"{name}:Absolute of the plug-in kd-absolute" in answer.err
        assert words in answer.err


def test_two_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path)
    install(tmp_path, "absolute = kd_other:Absolute", package="kd-other")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="two plug-ins are called so"):
        registry.load("methods", "absolute")


def test_a_method_without_a_docstring_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = MODULE.split('"""')[3]
    install(tmp_path, "absolute = kd_silent:Absolute", MODULE.replace(f'    """{first}"""\n', ""))
    monkeypatch.syspath_prepend(tmp_path)
    assert "│ absolute " in kd_ok("list", "methods").out
    assert registry.describe("methods", "absolute") == ""


@pytest.mark.parametrize("kind", ["methods", "schemes"])
def test_the_built_in_ones_lack_nothing(kind: registry.Kind) -> None:
    base = {"methods": Method, "schemes": Scheme}[kind]
    for name in registry.names(kind):
        assert faults(registry.load(kind, name), base) == []
