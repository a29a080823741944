"""Row 16: what kds of before left is read by this one; what a later one left is refused as that.

golden/VERSION.tar.xz is made by make_golden.py, which says what is in it.
"""

import json
import shutil
import tarfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from golden import DISTILL, GOLDEN, TRAIN
from house import House, kd, kd_ok
from thrift import once

from kdcli.core.file_format import (
    ANSWERS,
    METRICS,
    MODEL,
    NEEDS,
    ONNX,
    PREDICTIONS,
    REPORT,
    RUN,
    SPLIT,
)
from kdcli.recipe.safe_yaml import from_yaml, to_yaml

ARCHIVES = sorted(GOLDEN.glob("*.tar.xz"))
NEWEST = "0.1.0"


@pytest.fixture(params=ARCHIVES, ids=lambda file: file.name.removesuffix(".tar.xz"))
def golden(
    request: pytest.FixtureRequest, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> House:
    """A copy of what one kd left; its images lie beside it."""

    def unpack(place: Path) -> None:
        with tarfile.open(request.param) as archive:
            archive.extractall(place, filter="data")

    shutil.copytree(once(shared / f"golden-{request.param.name}", unpack), tmp_path / "golden")
    monkeypatch.setenv("KD_RUNS", str(tmp_path / "golden" / "runs"))
    return House(tmp_path / "golden" / "runs")


def images(golden: House) -> tuple[str, ...]:
    return ("--data", str(golden.path.with_name("data")))


def test_every_release_is_there() -> None:
    assert len(ARCHIVES) > 1
    assert sum(file.stat().st_size for file in ARCHIVES) < 100_000 * len(ARCHIVES)


# What is read ------------------------------------------------------------------------------------


def test_they_are_listed(golden: House) -> None:
    found = kd_ok("list", "runs", "--json").document
    assert {(run["role"], run["state"], bool(run["training"])) for run in found["runs"]} == {
        ("student", "finished", True),
        ("baseline", "finished", True),
        ("teacher", "finished", True),
        ("teacher", "unfinished", False),
    }
    (student,) = [run for run in found["runs"] if run["role"] == "student"]
    assert None not in (student["test_accuracy"], student["verdict_code"], student["latency_ms"])
    assert found["answers"][0]["used_by"] == [str(golden.student)]


def test_a_run_and_its_file_are_inspected(golden: House) -> None:
    found = kd_ok("inspect", golden.student, "--json").document
    assert found["needs"]["teacher.0"].endswith("model.pt")
    assert found["training"]["epochs"] == 2
    assert kd_ok("inspect", golden.student / "export" / "model.onnx", "--json")


def test_the_record_is_drawn_and_filled_again(golden: House) -> None:
    before = json.loads((golden.student / "report.json").read_text())
    kd_ok("report", golden.student)
    kd_ok("evaluate", golden.student, "--no-train", *images(golden))
    after = json.loads((golden.student / "report.json").read_text())
    assert after["exports"] == before["exports"]
    assert after["models"]["student"]["accuracy"] == before["models"]["student"]["accuracy"]


def test_what_was_kept_of_it_is_compared(golden: House) -> None:
    found = kd_ok("compare", golden.student, golden.run("baseline"), "--json", *images(golden))
    assert len(found.document["candidates"]) == 2


def test_an_exported_file_answers(golden: House) -> None:
    picture = golden.path.with_name("data") / "one" / "00.png"
    found = kd_ok("predict", golden.student, picture, "--json").document
    assert {guess["class"] for guess in found["predictions"][0]["top"]} == {"zero", "one", "two"}


def test_it_is_exported_again(golden: House) -> None:
    kd_ok("export", golden.student, "--format", "timm", *images(golden))


def test_a_training_goes_on(golden: House) -> None:
    answer = kd_ok(*TRAIN, *images(golden))
    assert "epoch 2/2" in answer.err
    assert "epoch 1/2" not in answer.err


def test_a_finished_one_is_found_and_its_answers_serve_the_next(golden: House) -> None:
    assert "nothing to train" in kd_ok(*DISTILL, *images(golden)).err
    answer = kd_ok(*DISTILL, "--seed", "1", *images(golden))
    if not is_of_other_libraries(golden):  # a teacher may answer otherwise in another torch
        assert "asked about view" not in answer.err


def is_of_other_libraries(golden: House) -> bool:
    (manifest,) = golden.path.glob("answers/*/manifest.json")
    known = json.loads(manifest.read_text())["key"]["versions"]
    return known != {name: version(name) for name in known}


# What is refused ---------------------------------------------------------------------------------


def numbered(run: Path) -> dict[str, int | None]:
    """The numbers that the files of a student's run carry, and its teacher's answers."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    with np.load(run / "predictions.npz") as kept:
        predictions = int(kept["format"])
    (store,) = run.parent.glob("answers/*/manifest.json")
    file = onnx.load(run / "export" / "model.onnx")
    told = {entry.key: entry.value for entry in file.metadata_props}
    model = torch.load(run / "model.pt", weights_only=True)
    return {
        "run.yaml": from_yaml((run / "run.yaml").read_text())["format"],
        "needs.json": json.loads((run / "needs.json").read_text())["format"],
        "metrics.jsonl": {line["format"] for line in lines}.pop(),
        "split.json": json.loads((run / "split.json").read_text())["format"],
        "predictions.npz": predictions,
        "report.json": json.loads((run / "report.json").read_text())["schema"],
        "model.pt": model["kd"],
        "model.onnx": int(told["kd.format"]),
        "manifest.json": json.loads(store.read_text())["format"],
    }


of_newest = pytest.mark.parametrize(
    "golden", [one for one in ARCHIVES if one.name == f"{NEWEST}.tar.xz"], indirect=True, ids=str
)


@of_newest
def test_every_file_carries_its_number(golden: House) -> None:
    kinds = (RUN, NEEDS, METRICS, SPLIT, PREDICTIONS, REPORT, MODEL, ONNX, ANSWERS)
    assert list(numbered(golden.student).values()) == [kind.writes for kind in kinds]


def in_json(key: str) -> Callable[[Path, Any], None]:
    def put(file: Path, number: Any) -> None:
        file.write_text(json.dumps(json.loads(file.read_text()) | {key: number}))

    return put


def in_yaml(file: Path, number: Any) -> None:
    file.write_text(to_yaml(from_yaml(file.read_text()) | {"format": number}))


def in_lines(file: Path, number: Any) -> None:
    lines = [json.loads(line) | {"format": number} for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def in_npz(file: Path, number: Any) -> None:
    with np.load(file) as kept:
        arrays = {**kept, "format": np.array(number)}
    np.savez(file, **arrays)


def in_model(file: Path, number: Any) -> None:
    torch.save(torch.load(file, weights_only=True) | {"kd": number}, file)


def in_onnx(file: Path, number: Any) -> None:
    proto = onnx.load(file)
    (entry,) = [entry for entry in proto.metadata_props if entry.key == "kd.format"]
    entry.value = str(number)
    onnx.save(proto, file)


FILES: dict[str, tuple[Callable[[Path, Any], None], tuple[str, ...]]] = {
    "run.yaml": (in_yaml, ("inspect", "RUN")),
    "needs.json": (in_json("format"), ("evaluate", "RUN", "--no-train", "IMAGES")),
    "metrics.jsonl": (in_lines, ("inspect", "RUN")),
    "predictions.npz": (in_npz, ("compare", "RUN", "RUN/export/model.onnx", "--no-measure")),
    "report.json": (in_json("schema"), ("report", "RUN")),
    "model.pt": (in_model, ("inspect", "RUN")),
    "export/model.onnx": (in_onnx, ("predict", "RUN/export/model.onnx", "RUN/../../data")),
    "../answers/*/manifest.json": (in_json("format"), (*DISTILL, "--seed", "1", "IMAGES")),
}


@of_newest
@pytest.mark.parametrize(
    "number", [99, *(pytest.param(one, marks=pytest.mark.attack) for one in (-1, "1x"))]
)
@pytest.mark.parametrize("name", FILES)
def test_of_another_kd_it_says_so(golden: House, name: str, number: Any) -> None:
    if "manifest" in name and is_of_other_libraries(golden):
        pytest.skip("another torch has a store of its own")
    put, typed = FILES[name]
    (file,) = golden.student.glob(name)
    put(file, number)
    before = file.read_bytes()
    words = [word.replace("RUN", str(golden.student)) for word in typed if word != "IMAGES"]
    answer = kd(*words, *(images(golden) if "IMAGES" in typed else ()))
    assert answer.code == 7
    assert file.name in answer.err
    newer = "written by a newer kd (format 99, this kd reads "
    assert (newer if number == 99 else "is no number") in answer.err
    assert ("pip install --upgrade kdcli" in answer.err) == (number == 99)
    assert file.read_bytes() == before


@of_newest
def test_a_training_that_a_newer_kd_began_is_left_to_it(golden: House) -> None:
    (state,) = golden.path.glob("*/state.pt")
    assert torch.load(state, weights_only=True)["format"] == 1
    torch.save(torch.load(state, weights_only=True) | {"format": 99}, state)
    before = state.read_bytes()
    answer = kd(*TRAIN, *images(golden))
    assert answer.code == 7
    assert "state.pt: written by a newer kd (format 99, this kd reads 0 to 1)" in answer.err
    assert state.read_bytes() == before


@of_newest
@pytest.mark.parametrize("name", ["model.pt", "report.json"])
def test_an_older_one_is_called_older(golden: House, name: str) -> None:
    put, typed = FILES[name]
    put(golden.student / name, 0)
    answer = kd(*(word.replace("RUN", str(golden.student)) for word in typed))
    assert answer.code == 7
    assert "written by an older kd (format 0, this kd reads 1)" in answer.err
    assert "upgrade" not in answer.err


@of_newest
def test_a_newer_run_hides_no_other_and_is_not_pruned(golden: House) -> None:
    in_yaml(golden.run("baseline") / "run.yaml", 99)
    found = kd_ok("list", "runs", "--json").document["runs"]
    assert [run["state"] for run in found].count("unreadable") == 1
    kd_ok("list", "runs", "--prune", "--yes")
    assert (golden.run("baseline") / "model.pt").is_file()
