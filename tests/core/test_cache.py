"""What is measured once is kept; a damaged file costs time and nothing else."""

import json
from pathlib import Path

import pytest

from kdcli.core.cache import Cache
from kdcli.core.errors import DiskError
from kdcli.core.files import cache_folder


def test_what_was_saved_is_found_again(tmp_path):
    place = tmp_path / "Ä b" / "models.json"
    cache = Cache(place)
    assert cache.get("latency", "resnet18", 224) is None
    cache.put("latency", "resnet18", 224, value={"p50": 1.5})
    assert cache.get("latency", "resnet18", 224) == {"p50": 1.5}
    assert not place.exists()
    cache.save()
    assert Cache(place).get("latency", "resnet18", 224) == {"p50": 1.5}
    assert Cache(place).get("latency", "resnet18", 64) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"x"',
        '{"kd": 1}',
        '{"kd": 2, "entries": {}}',
        '{"kd": 1, "entries": 3}',
        '{"kd": 1, "entries": {"a": 3}}',
    ],
)
def test_a_damaged_file_is_ignored_and_written_anew(tmp_path, text):
    place = tmp_path / "models.json"
    place.write_text(text, "utf-8")
    cache = Cache(place)
    assert cache.get("a") is None
    cache.put("b", value={"n": 1})
    cache.save()
    assert json.loads(place.read_text("utf-8")) == {"kd": 1, "entries": {"b": {"n": 1}}}


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "models.json").write_bytes(b"\xff\xfe\x00")
    assert Cache(tmp_path / "models.json").get("a") is None


def test_two_at_once_lose_nothing(tmp_path):
    one, other = Cache(tmp_path / "m.json"), Cache(tmp_path / "m.json")
    one.put("a", value={"n": 1})
    other.put("b", value={"n": 2})
    one.save()
    other.save()
    known = Cache(tmp_path / "m.json")
    assert (known.get("a"), known.get("b")) == ({"n": 1}, {"n": 2})


def test_nothing_new_writes_nothing(tmp_path):
    Cache(tmp_path / "m.json").save()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("a regular file")
    cache = Cache(tmp_path / "file" / "m.json")
    cache.put("a", value={})
    with pytest.raises(DiskError):
        cache.save()


def test_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("KD_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("KD_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "kd"
