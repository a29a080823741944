"""Where exported files lie, and which entries of a record a new export replaces."""

from pathlib import Path

import pytest

from kdcli.report.choices import Precision
from kdcli.report.export import Export, ParityPart, listed, place_of, replaced
from kdcli.report.model import ModelPart, Percentiles
from kdcli.report.schema import Report, main_export, main_index
from kdcli.report.table import table


def _export(path: str, precision: Precision = "fp32", accuracy: float = 0.9) -> Export:
    return Export(
        path=path,
        sha256="0" * 64,
        precision=precision,
        opset=18,
        bytes=9,
        parity=ParityPart(max_abs=0, top1_changed=0, images=1, synthetic=False),
        accuracy=accuracy,
        latency_ms=Percentiles(p50=1, p90=2),
    )


FAMILY = [
    _export("export/model.onnx", accuracy=0.9),
    _export("export/model.int8.onnx", "int8", accuracy=0.8),
    _export("export/model.fp16.onnx", "fp16", accuracy=0.7),
]
BEFORE, AFTER = _export("/a/small.onnx"), _export("/z/small.onnx")


@pytest.mark.parametrize("known", [FAMILY, FAMILY[:2], [FAMILY[2], FAMILY[0]], FAMILY[:1]])
@pytest.mark.parametrize("written", [FAMILY, FAMILY[::2], FAMILY[:1]])
def test_a_family_takes_the_slot_that_it_had(known: list[Export], written: list[Export]) -> None:
    assert replaced([BEFORE, *known, AFTER], written) == [BEFORE, *written, AFTER]


def test_the_slot_is_that_of_fp32() -> None:
    """Of an earlier kd's record, where they lay apart."""
    assert replaced([FAMILY[1], BEFORE, FAMILY[0]], FAMILY) == [BEFORE, *FAMILY]


def test_a_new_family_comes_last() -> None:
    assert replaced([BEFORE], FAMILY) == [BEFORE, *FAMILY]


def test_an_fp32_file_of_such_a_name_is_no_smaller_one() -> None:
    strange = _export("export/model.int8.onnx")
    assert replaced([strange], FAMILY[:1]) == [strange, FAMILY[0]]


def _report(*exports: Export) -> Report:
    models = {"student": ModelPart(name="s", params=1)}
    return Report(run="r", model_sha256="0", models=models, exports=list(exports))


def test_the_file_is_fp32_in_the_runs_own_folder() -> None:
    report = _report(BEFORE, *FAMILY, AFTER)
    assert (main_index(report), main_export(report)) == (1, FAMILY[0])
    assert main_export(_report(BEFORE, AFTER)) == AFTER
    assert main_export(_report()) is None


def test_an_unevaluated_students_accuracy_is_that_of_fp32() -> None:
    assert ["test accuracy of the file", "0.9000"] in table(_report(*FAMILY))


def test_a_place_is_found_again_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.chdir(tmp_path)
    for place in (Path("there/a.onnx"), Path("run/export/a.onnx"), Path("run/../a.onnx")):
        path = listed(place, run)
        assert place_of(_export(path), run).resolve() == place.resolve()
        assert Path(path).is_absolute() is (path != "export/a.onnx")
