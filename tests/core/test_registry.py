"""A folder is a registry, and plug-ins join it by entry points."""

import pytest

from kdcli.core import registry
from kdcli.core.errors import UsageError
from kdcli.core.method import Method
from kdcli.core.scheme import Scheme

PLUGIN = '''
from typing import ClassVar
from kdcli.core.method import Method

class Flat(Method):
    """Everything costs nothing.

    Further lines are not for lists.
    """
    kind: ClassVar = "response"
    needs: ClassVar = frozenset({"logits"})
    default_weight: ClassVar[float] = 2.0
    weight_source: ClassVar = "made up"

    def loss(self, student, teacher, batch, adapter):
        return student.logits.sum() * 0
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """An installed package that brings the method `flat`, and a `kd` of its own."""
    (tmp_path / "flat_plugin.py").write_text(PLUGIN)
    info = tmp_path / "flat_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flat-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[kdcli.methods]\nflat = flat_plugin:Flat\nkd = flat_plugin:Flat\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(("kind", "base"), [("methods", Method), ("schemes", Scheme)])
def test_every_name_can_be_loaded_and_described(kind, base):
    assert registry.names(kind) == sorted(registry.names(kind))
    for name in registry.names(kind):
        loaded = registry.load(kind, name)
        assert issubclass(loaded, base)
        assert loaded is not base
        assert registry.describe(kind, name) == (loaded.__doc__ or "").strip().split("\n")[0] != ""


def test_the_file_name_is_the_name():
    assert "kd" in registry.names("methods")
    assert {"alone", "offline"} <= set(registry.names("schemes"))
    assert registry.load("methods", "kd").__name__ == "KD"


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("schemes", "ofline", "unknown scheme 'ofline'; did you mean 'offline'?"),
        ("methods", "zzzz", "unknown method 'zzzz'"),
        ("methods", "__init__", "unknown method '__init__'"),
        ("methods", "../errors", "unknown method '../errors'"),
    ],
)
def test_an_unknown_name_is_refused_in_words(kind, name, words):
    with pytest.raises(UsageError) as caught:
        registry.load(kind, name)
    assert caught.value.what == words
    assert caught.value.fix.startswith(f"known {kind}: ")


def test_a_plugin_is_found_beside_the_built_in_ones(plugin):
    assert {"flat", "kd"} <= set(registry.names("methods"))
    assert registry.describe("methods", "flat") == "Everything costs nothing."
    assert registry.load("methods", "flat").default_weight == 2.0


def test_a_plugin_does_not_replace_a_built_in_method(plugin):
    assert registry.names("methods").count("kd") == 1
    assert registry.load("methods", "kd").__name__ == "KD"
