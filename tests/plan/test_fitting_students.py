"""`kd list models`: limits, latencies that are kept, and what is said where nothing is left."""

import json
from pathlib import Path
from typing import Any

import pytest
from house import kd, kd_ok

from kdcli.core.errors import UsageError
from kdcli.core.latency import Latency, latency
from kdcli.core.progress import Silent, track_long
from kdcli.models.model_args import ModelArgs
from kdcli.plan import fitting_students
from kdcli.plan.fitting_students import parse_count, parse_ms

FEW = {"test": ("test_resnet", "test_efficientnet", "test_vit"), "edge": ("lcnet_035",)}
AT_32 = ("list", "models", "--size", "32")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of its own, and four models that take a moment; its file."""
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fitting_students, "EDGE", FEW)
    return tmp_path / "cache" / "models.json"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Latency by name instead of a timing, against the order of MACs; the names that were timed."""
    timed: list[str] = []

    def time_export(args: ModelArgs) -> Latency:
        timed.append(args.name)
        p50 = {"test_resnet": 1.0, "test_efficientnet": 2.0, "test_vit": 3.0, "lcnet_035": 9.0}
        ms = p50[args.name]
        return Latency(ms, ms + 1, ms + 2, cold=9.0, runs=30, blocks=(ms,))

    monkeypatch.setattr(fitting_students, "time_export", time_export)
    return timed


def _models(*flags: str) -> dict[str, Any]:
    return kd_ok(*AT_32, *flags, "--json").document


def _names(document: dict[str, Any]) -> list[str]:
    return [row["name"] for row in document["models"]]


# Limits ------------------------------------------------------------------------------------------


def test_without_limits_all_are_listed_by_macs_and_none_is_timed(clock: list[str]) -> None:
    document = _models()
    macs = [row["macs"] for row in document["models"]]
    assert sorted(_names(document)) == sorted(["lcnet_035", *FEW["test"]])
    assert macs == sorted(macs)
    assert document["excluded"] == {}
    assert document["best"] is None
    assert clock == []


def test_parameters_and_macs_are_those_of_a_head_for_1000_classes() -> None:
    rows = {row["name"]: row for row in _models()["models"]}
    assert rows["lcnet_035"]["params"] == 1_644_370
    assert rows["lcnet_035"]["pretrained"] is False
    assert rows["lcnet_035"]["licence"] is None
    assert rows["test_vit"]["licence"] == "apache-2.0"
    assert rows["test_vit"]["input_size"] == 32


def test_each_limit_says_how_many_it_left_out(clock: list[str]) -> None:
    document = _models("--pretrained", "--max-params", "0.4M", "--max-ms", "1.5")
    rows = {row["name"]: row["params"] for row in _models()["models"]}
    fit = [n for n in FEW["test"] if rows[n] <= 0.4e6]
    assert document["excluded"]["pretrained"] == 1
    assert document["excluded"]["max_params"] == 3 - len(fit)
    assert sum(document["excluded"].values()) + len(document["models"]) == 4
    assert document["considered"] == 4


def test_only_what_keeps_to_the_cheap_limits_is_timed(clock: list[str]) -> None:
    document = _models("--max-params", "1M", "--max-ms", "2.5")
    assert sorted(clock) == sorted(FEW["test"])
    assert _names(document) == ["test_resnet", "test_efficientnet"]
    assert document["excluded"] == {"max_params": 1, "max_ms": 1}
    assert document["models"][0]["latency_ms"] == {
        **{"p50": 1.0, "p90": 2.0, "p99": 3.0, "cold": 9.0},
        **{"runs": 30, "blocks": [1.0]},
    }


def test_max_macs() -> None:
    rows = {row["name"]: row["macs"] for row in _models()["models"]}
    limit = sorted(rows.values())[1]
    document = _models("--max-macs", str(limit))
    assert _names(document) == [n for n in rows if rows[n] <= limit]
    assert document["excluded"] == {"max_macs": 2}


def test_the_largest_that_fits_is_what_to_type_next(clock: list[str]) -> None:
    document = _models("--max-ms", "2.5")
    macs = {row["name"]: row["macs"] for row in document["models"]}
    assert document["best"] == max(macs, key=macs.__getitem__)
    answer = kd_ok(*AT_32, "--max-ms", "2.5")
    line = f"next: kd distill --teacher resnet101 --student {document['best']} --data DIR"
    assert line in answer.out
    assert "1 by --max-ms" not in answer.out
    assert "2 by --max-ms 2.5" in answer.out


def test_weights_that_may_be_sold_are_proposed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    licences = {"test_resnet": "cc-by-nc-4.0", "test_vit": "mit", "test_efficientnet": "unknown"}
    monkeypatch.setattr(fitting_students, "licence_of", licences.get)
    assert _models("--max-params", "5M")["best"] == "test_vit"


def test_nothing_left_is_an_answer() -> None:
    answer = kd_ok(*AT_32, "--max-params", "10")
    assert "none of 4 models" in answer.out
    assert "4 by --max-params 10" in answer.out
    assert "next:" not in answer.out
    document = _models("--max-params", "10")
    assert document["models"] == []
    assert document["best"] is None


def test_a_model_that_takes_no_such_image_keeps_its_own_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fitting_students, "EDGE", {"inception": ("inception_v3",)})
    (row,) = _models()["models"]
    assert row["input_size"] == 299


def test_all_of_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        fitting_students, "model_names", lambda: ["test_nfnet", "qwen3_vit_88m_enc"]
    )
    document = _models("--all")
    assert _names(document) == ["test_nfnet"]
    assert document["excluded"] == {"size": 1}
    assert "--size 32 (they take no such image)" in kd_ok(*AT_32, "--all").out


# Latency -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_latency_is_measured_in_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting_students, "EDGE", {"test": ("test_resnet",)})
    monkeypatch.setattr(fitting_students, "latency", latency)  # as long as outside of tests
    (row,) = _models("--max-ms", "1e4")["models"]
    assert 0 < row["latency_ms"]["p50"] <= row["latency_ms"]["p90"]
    assert row["latency_ms"]["runs"] >= 10


def test_latencies_are_kept_and_shown_from_then_on(clock: list[str], cache: Path) -> None:
    _models("--max-ms", "5")
    assert len(clock) == 4
    document = _models("--max-ms", "1")
    assert len(clock) == 4
    assert document["excluded"] == {"max_ms": 3}
    document = _models()
    assert all(row["latency_ms"] for row in document["models"])
    assert _names(document)[0] == "test_resnet"
    keys = json.loads(cache.read_text("utf-8"))["entries"]
    (key,) = [k for k in keys if k.startswith("latency | test_vit | 32 px | timm ")]
    assert " | onnxruntime " in key
    assert key.endswith(" | 1 thread")


def test_times_of_some_do_not_order_all(clock: list[str]) -> None:
    _models("--max-params", "1M", "--max-ms", "5")
    rows = _models()["models"]
    assert sum(row["latency_ms"] is None for row in rows) == 1
    assert [row["macs"] for row in rows] == sorted(row["macs"] for row in rows)
    assert _names(_models("--max-params", "1M")) == ["test_resnet", "test_efficientnet", "test_vit"]


def test_another_size_is_measured_on_its_own(clock: list[str]) -> None:
    _models("--max-ms", "5")
    kd_ok("list", "models", "--size", "64", "--max-ms", "5")
    assert len(clock) == 8


def test_entries_that_make_no_sense_are_measured_anew(clock: list[str], cache: Path) -> None:
    _models("--max-ms", "5")
    content = json.loads(cache.read_text("utf-8"))
    for key, entry in content["entries"].items():
        entry.clear()
        entry.update({"p50": "soon"} if key.startswith("latency") else {"params": 3})
    cache.write_text(json.dumps(content), "utf-8")
    document = _models("--max-ms", "5")
    assert len(clock) == 8
    assert len(document["models"]) == 3
    assert document["excluded"] == {"max_ms": 1}


def test_an_interruption_keeps_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, clock: list[str]
) -> None:
    slow = fitting_students.time_export

    def interrupted(args: ModelArgs) -> Latency:
        if len(clock) == 2:
            raise KeyboardInterrupt
        return slow(args)

    with monkeypatch.context() as patch:
        patch.setattr(fitting_students, "time_export", interrupted)
        assert kd(*AT_32, "--max-ms", "5").code == 130
    _models("--max-ms", "5")
    assert len(clock) == 4
    assert len(set(clock)) == 4


def test_a_model_that_cannot_be_exported_is_said_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, clock: list[str]
) -> None:
    works = fitting_students.time_export

    def fails(args: ModelArgs) -> Latency:
        if args.name == "test_vit":
            raise RuntimeError("no such operator\nand a long story")
        return works(args)

    monkeypatch.setattr(fitting_students, "time_export", fails)
    document = _models("--max-ms", "5")
    assert _names(document) == ["test_resnet", "test_efficientnet", "test_vit"]
    assert document["models"][-1]["note"] == "cannot be timed: no such operator"
    assert document["models"][-1]["latency_ms"] is None
    assert document["best"] == "test_resnet"
    assert "- test_vit: cannot be timed: no such operator" in kd_ok(*AT_32, "--max-ms", "5").out


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: list[str]
) -> None:
    (tmp_path / "file").write_text("a regular file")
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "file"))
    answer = kd_ok(*AT_32, "--max-ms", "5")
    assert "test_vit" in answer.out
    assert "KD_CACHE names another place" in answer.err


# Numbers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [("5e6", 5e6), ("5M", 5e6), ("5.5m", 5.5e6), ("300k", 3e5), ("1.5G", 1.5e9), ("5,000", 5000)],
)
def test_counts(text: str, number: float) -> None:
    assert parse_count("--max-params", text) == number
    assert parse_count("--max-params", None) is None


@pytest.mark.parametrize("text", ["", "M", "5X", "0", "-3", "nan", "inf", "1e400"])
def test_counts_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--max-macs") as caught:
        parse_count("--max-macs", text)
    assert "--max-macs 5e6" in caught.value.fix


def test_milliseconds() -> None:
    assert parse_ms("10") == parse_ms("10ms") == 10
    assert parse_ms(None) is None
    for text in ("", "ten", "0", "-1", "nan", "inf"):
        with pytest.raises(UsageError, match="--max-ms"):
            parse_ms(text)


@pytest.mark.parametrize(
    "flags",
    [("--max-params", "5X"), ("--max-macs", "0"), ("--max-ms", "soon"), ("--size", "4")],
    ids=" ".join,
)
def test_mistakes_are_told_before_any_work(flags: tuple[str, ...], cache: Path) -> None:
    answer = kd("list", "models", *flags)
    assert answer.code == 2
    assert flags[0] in answer.err
    assert answer.out == ""
    assert not cache.exists()


def test_what_takes_long_is_told_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """30 models of 10 s each."""
    now = [0.0]
    monkeypatch.setattr("kdcli.core.progress.time.monotonic", lambda: now[0])
    said: list[str] = []

    class Listening(Silent):
        def say(self, text: str) -> None:
            said.append(f"{now[0]:.0f} s: {text}")

    for _ in track_long(Listening(), range(30), "timing"):
        now[0] += 10
    assert said == [f"{t} s: timing, 30 in all: about 5 min" for t in (10, 200)]
    said.clear()
    assert list(track_long(Listening(), range(2), "timing")) == [0, 1]
    assert list(track_long(Listening(), [], "timing")) == said == []
