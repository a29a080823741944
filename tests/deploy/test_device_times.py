"""`kd export RUN --measured FILE`: what a device printed stands beside the file it measured."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from house import House, kd, kd_ok

from kdcli.core.errors import DamagedFile
from kdcli.deploy.device_times import read_measurement
from kdcli.report.export import Export, ParityPart
from kdcli.report.file import Conditions, put_export
from kdcli.report.model import Percentiles
from kdcli.report.schema import Report

PI = "Raspberry Pi 5 Model B Rev 1.0"
MODEL = {
    **{"file": "model.onnx", "sha256": "0" * 64, "bytes": 9, "load_seconds": 0.1, "runs": 1024},
    **{"cold": 31, "p50": 4.12, "p90": 4.4, "p99": 5.0, "peak_memory_bytes": 35_000_000},
}
DOCUMENT: dict[str, Any] = {
    **{"schema": 1, "device": PI, "system": "Linux 6.6 aarch64", "threads": 4},
    **{"onnxruntime": "1.22.0", "python": "3.11.2", "models": [MODEL]},
}


def _exports(house: House) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((house.student / "report.json").read_text("utf-8"))[
        "exports"
    ]
    return found


def _printed(place: Path, house: House | None = None, **changes: Any) -> Path:
    """What bench.py printed, of the file that was exported there."""
    document = copy.deepcopy(DOCUMENT | changes)
    if house:
        document["models"][0]["sha256"] = _exports(house)[0]["sha256"]
    place.write_text(json.dumps(document), "utf-8")
    return place


def test_it_stands_beside_its_file(finished: House, tmp_path: Path) -> None:
    before = (finished.student / "export" / "model.onnx").stat().st_mtime_ns
    file = _printed(tmp_path / "pi5.json", finished)
    answer = kd_ok("export", finished.student, "--measured", file)
    said = (
        f"on {PI} (Linux 6.6 aarch64, 4 threads, onnxruntime 1.22.0): 4.12 / 4.4 ms, "
        "35 MB of memory (p99 5 ms, the first image 31 ms)"
    )
    assert said in answer.out
    assert said in (finished.student / "report.md").read_text("utf-8")
    (part,) = _exports(finished)[0]["measured"]
    assert (part["device"], part["threads"], part["p50"]) == (PI, 4, 4.12)
    assert part["memory_bytes"] == 35_000_000
    assert (finished.student / "export" / "model.onnx").stat().st_mtime_ns == before


def test_it_can_be_a_gate(finished: House, tmp_path: Path) -> None:
    file = _printed(tmp_path / "pi5.json", finished)
    line = ("export", finished.student, "--measured", file, "--max")
    kd_ok(*line, "exports.0.measured.0.p50=4.2")
    assert kd(*line, "exports.0.measured.0.p50=4.0").code == 8
    assert kd(*line, "exports.0.measured.0.speed=4.0").code == 2


def test_the_same_device_again_replaces_and_another_is_added(
    finished: House, tmp_path: Path
) -> None:
    slow = {"models": [MODEL | {"p99": 9.0}]}
    files = [
        _printed(tmp_path / "a.json", finished),
        _printed(tmp_path / "b.json", finished, device="Jetson", **slow),
        _printed(tmp_path / "c.json", finished, **slow),
        _printed(tmp_path / "d.json", finished, threads=1),
    ]
    flags = [word for file in files for word in ("--measured", file)]
    kd_ok("export", finished.student, *flags)
    found = [(m["device"], m["threads"], m["p99"]) for m in _exports(finished)[0]["measured"]]
    assert found == [("Jetson", 4, 9.0), (PI, 4, 9.0), (PI, 1, 5.0)]


def test_a_file_that_was_not_exported_is_refused(finished: House, tmp_path: Path) -> None:
    before = (finished.student / "report.json").read_bytes()
    good = _printed(tmp_path / "good.json", finished)
    bad = _printed(tmp_path / "other.json")
    answer = kd("export", finished.student, "--measured", good, "--measured", bad)
    assert answer.code == 2
    assert f"{bad}: model.onnx (sha256 000000000000...): none of the files" in answer.err
    assert (finished.student / "report.json").read_bytes() == before


def test_another_file_in_the_folder_is_left_out_aloud(finished: House, tmp_path: Path) -> None:
    """bench.py measures all of them; that of `--which exit_1` has a record of its own."""
    exit_1 = MODEL | {"file": "model.exit_1.onnx", "sha256": "1" * 64, "p50": 1.0}
    file = _printed(tmp_path / "pi5.json", finished, models=[dict(MODEL), exit_1])
    answer = kd_ok("export", finished.student, "--measured", file)
    assert "left out, as no file of this record: model.exit_1.onnx (sha256 1111" in answer.err
    (entry,) = _exports(finished)
    assert [part["p50"] for part in entry["measured"]] == [4.12]


def test_nothing_was_exported(distilled: House, tmp_path: Path) -> None:
    answer = kd("export", distilled.student, "--measured", _printed(tmp_path / "pi5.json"))
    assert answer.code == 2
    assert "nothing of it was exported" in answer.err


def test_flags_that_say_how_to_export_are_refused(tmp_path: Path) -> None:
    file = _printed(tmp_path / "pi5.json")
    answer = kd("export", "--measured", file, "--out", tmp_path, "--size", "32")
    assert answer.code == 2
    assert "--out, --size: nothing is exported with --measured" in answer.err


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--int8", "--opset", "14"), "--opset, --int8"),
        (("--format", "timm"), "--format"),
        (("--size", "32", "--latency", "thorough", "--fold", "never"), "--size, --fold, --latency"),
    ],
)
def test_flags_that_say_how_files_shall_be_are_refused(
    flags: tuple[str, ...], named: str, tmp_path: Path
) -> None:
    """Else it would look as if they had been made."""
    answer = kd("export", "--measured", _printed(tmp_path / "pi5.json"), *flags)
    assert answer.code == 2
    assert f"error: {named}: nothing is exported with --measured" in answer.err


def test_there_is_no_such_file(tmp_path: Path) -> None:
    assert kd("export", "--measured", tmp_path / "nowhere.json").code == 2


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "\udcff", "[" * 5000, json.dumps(DOCUMENT)[:-9], " " * 1_000_001],
    ids=["empty", "brace", "list", "bytes", "deep", "cut", "large"],
)
def test_damaged_documents(text: str, tmp_path: Path) -> None:
    file = tmp_path / "damaged.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    answer = kd("export", "--measured", file)
    assert answer.code == 7
    assert str(file) in answer.err


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"device": "x" * 201},
        {"device": "a\x1b[31mred"},
        {"device": "two\nlines"},
        {"threads": -1},
        {"threads": "4"},
        {"more": 1},
        {"models": []},
        {"models": [MODEL] * 101},
        {"models": [MODEL | {"p50": float("nan")}]},
        {"models": [MODEL | {"p50": 0}]},
        {"models": [MODEL | {"sha256": "../x"}]},
        {"models": [MODEL | {"more": 1}]},
    ],
    ids=str,
)
def test_foreign_documents(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DamagedFile, match="not what bench"):
        read_measurement(_printed(tmp_path / "foreign.json", **change))


def test_a_changed_file_has_not_been_measured(tmp_path: Path) -> None:
    """One that is exported anew bit for bit has."""
    part = read_measurement(_printed(tmp_path / "pi5.json")).of("0" * 64)
    assert part
    parity = ParityPart(max_abs=0, top1_changed=0, images=1, synthetic=False)
    time = Percentiles(p50=1, p90=2)
    export = Export(
        **{"path": "model.onnx", "sha256": "0" * 64, "opset": 18, "bytes": 9, "accuracy": None},
        parity=parity,
        latency_ms=time,
    )
    report = Report(
        run="r", model_sha256="0", exports=[export.model_copy(update={"measured": [part]})]
    )
    again = put_export(report, {}, [export], Conditions("here"))
    assert again.exports
    assert again.exports[0].measured == [part]
    changed = export.model_copy(update={"sha256": "1" * 64})
    anew = put_export(report, {}, [changed], Conditions("here"))
    assert anew.exports
    assert anew.exports[0].measured == []
