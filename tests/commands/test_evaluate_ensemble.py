"""What evaluate and export say of several teachers, and of an assistant on the way."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from house import STUDENT, TEACHER, House, kd, kd_ok

from kdcli.core.files import sha256
from kdcli.core.functional import as_one
from kdcli.core.latency import Latency
from kdcli.core.progress import Silent
from kdcli.core.records import Panel
from kdcli.data.reopen import reopen_data
from kdcli.deploy import cost_comparison
from kdcli.recipe.schema import SchemeUse
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec, TeacherRef, with_seed
from kdcli.training.ensure import ensure
from kdcli.training.site import Site

ROLES = ("ensemble", "teacher", "assistant", "student", "baseline")


def _report(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "report.json").read_text("utf-8"))
    return found


def _chain(house: House) -> Spec:
    """Two teachers that differ in their seeds, weighted 3 : 1; an assistant; a student."""
    first, student = Run(house.teacher).spec, Run(house.student).spec
    weighted = SchemeUse(name="average", weights=(3, 1))  # type: ignore[call-arg]
    recipe = student.recipe.model_copy(update={"scheme": weighted})
    heads = tuple(TeacherRef(model=TEACHER, spec=with_seed(first, seed)) for seed in (0, 1))
    taught = {"role": "assistant", "recipe": recipe, "teachers": heads}
    assistant = student.model_copy(update=taught)
    return student.model_copy(update={"teachers": (TeacherRef(model=STUDENT, spec=assistant),)})


@pytest.fixture(scope="module")
def chained(small_once: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """An ensemble of two, an assistant and a student, exported, hardly timed, then evaluated."""
    path = tmp_path_factory.mktemp("chained") / "runs"
    shutil.copytree(small_once.path, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_RUNS", str(path))
        spec = _chain(House(path))
        shutil.rmtree(House(path).student)
        cpu = torch.device("cpu")
        ensure(spec, Site(reopen_data(spec.data, Silent()), cpu, Silent()), asked=True)
        file = _student(House(path)) / "export" / "model.onnx"
        patch.setattr(cost_comparison, "export_onnx", _one_for_all(path / "others.onnx"))
        patch.setattr(cost_comparison, "latency", _latency)
        kd_ok("export")
        run = file.parent.parent
        shutil.copy(run / "report.json", run / "exported.json")
        kd_ok("evaluate")
        yield House(path)


def _student(house: House) -> Path:
    (found,) = [run for run in house.runs("kd-") if Run(run).spec.role == "student"]
    return found


def _one_for_all(kept: Path) -> Callable[..., None]:
    """The first of the others is exported; the next have its file."""
    real = cost_comparison.export_onnx

    def export(module: Any, out: Path, **options: Any) -> None:
        if not kept.exists():
            real(module, kept, **options)
        shutil.copy(kept, out)

    return export


def _latency(calls: dict[str, Any], **bounds: Any) -> dict[str, Latency]:
    """The models were called once, and took 1, 2, 3, ... ms."""
    for call in calls.values():
        call()
    return {
        name: Latency(p50=i, p90=2 * i, p99=3 * i, cold=9 * i, runs=1, blocks=(i,))
        for i, name in enumerate(calls, 1)
    }


@pytest.fixture
def report(chained: House) -> dict[str, Any]:
    return _report(_student(chained))


def test_everyone_has_a_column(chained: House, report: dict[str, Any]) -> None:
    assert report["models"].keys() == set(ROLES)
    page = (_student(chained) / "report.md").read_text("utf-8")
    assert "| | ensemble | best teacher | assistant | student | baseline |" in page
    assert "agrees with ensemble" in page
    assert re.search(
        r"test accuracy along the chain: ensemble \S+, assistant \S+ \(\S+ points", page
    )
    assert f"ensemble of 2: {TEACHER} x 2" in page


def test_the_ensemble_is_its_members_as_the_scheme_weighs_them(
    chained: House, report: dict[str, Any]
) -> None:
    members = []
    for run in chained.runs("teacher-"):
        kd_ok("evaluate", run)
        with np.load(run / "predictions.npz") as kept:
            members.append((Run(run).spec.seed, kept["student"][0]))
    logits = torch.tensor(np.stack([row for _, row in sorted(members, key=lambda m: m[0])], 1))
    expected = as_one(logits, Panel((0.75, 0.25))).numpy()
    with np.load(_student(chained) / "predictions.npz") as kept:
        assert set(kept) == {"format", "ids", "labels", "sums", *ROLES}
        np.testing.assert_allclose(kept["ensemble"][0], expected, atol=1e-4)
    assert [member["weight"] for member in report["teachers"]] == [0.75, 0.25]


def test_members_have_a_light_record_and_the_best_on_validation_is_the_teacher(
    report: dict[str, Any],
) -> None:
    members, best = report["teachers"], report["comparison"]["ensemble"]["best"]
    assert [member["seed"] for member in members] == [0, 1]
    validation = [member["validation_accuracy"] for member in members]
    assert best == int(np.argmax(validation))
    single, whole = report["models"]["teacher"], report["models"]["ensemble"]
    for key in ("accuracy", "nll", "params", "macs", "train_seconds"):
        assert single[key] == pytest.approx(members[best][key])
    for key in ("params", "macs", "train_seconds"):
        assert whole[key] == pytest.approx(sum(member[key] for member in members))
    assert (whole["agreement"], whole["kl_to_teacher"]) == (1, pytest.approx(0, abs=1e-12))


def test_the_comparison_is_with_the_ensemble(report: dict[str, Any]) -> None:
    models, c = report["models"], report["comparison"]
    accuracy = {role: models[role]["accuracy"] for role in ROLES}
    whole, student = models["ensemble"], models["student"]
    assert c["accuracy_drop"] == pytest.approx(accuracy["ensemble"] - accuracy["student"])
    assert c["size_reduction"] == pytest.approx(1 - student["params"] / whole["params"])
    assert c["agreement"] == c["ensemble"]["agreement_with_ensemble"] == student["agreement"]
    e = c["ensemble"]
    assert e["members"] == 2
    for key, one, other in (
        ("gain_over_single", "ensemble", "teacher"),
        ("gap_to_ensemble", "student", "ensemble"),
        ("gap_to_single", "student", "teacher"),
    ):
        assert e[key] == pytest.approx(accuracy[one] - accuracy[other])
        assert e[f"{key}_ci95"]["low"] <= e[key] <= e[f"{key}_ci95"]["high"]
    kept = (e["gap_to_single"] / gain) if (gain := e["gain_over_single"]) >= 0.01 else None
    assert e["gap_kept"] == (None if kept is None else pytest.approx(kept))
    assert e["kl_to_ensemble"] == pytest.approx(student["kl_to_teacher"])
    assert e["params_ratio"] == pytest.approx(whole["params"] / student["params"])


def test_every_number_of_an_ensemble_can_be_a_gate(chained: House) -> None:
    limits = ("ensemble.accuracy=0", "assistant.accuracy=0", "teachers.1.accuracy=0")
    more = ("comparison.ensemble.kl_to_single=0", "comparison.ensemble.best=0")
    gates = [word for limit in (*limits, *more) for word in ("--min", limit)]
    answer = kd("evaluate", _student(chained), *gates, "--json")
    assert answer.code == 0
    assert all(gate["passed"] for gate in answer.document["gates"])


def test_an_ensemble_takes_as_long_as_its_members_together(report: dict[str, Any]) -> None:
    models, c = report["models"], report["comparison"]
    assert all(models[role]["latency_ms"] for role in ROLES[:-1])
    single, whole = models["teacher"], models["ensemble"]
    for by in ("pytorch", "onnxruntime"):
        for share in ("p50", "p90"):
            assert whole["latency_ms"][by][share] == 2 * single["latency_ms"][by][share]
        slow, fast = whole["latency_ms"][by]["p50"], models["student"]["latency_ms"][by]["p50"]
        assert c["speedup"][by] == pytest.approx(slow / fast)
    assert whole["file_bytes"] == 2 * single["file_bytes"]


def test_evaluating_again_keeps_what_was_timed(chained: House, report: dict[str, Any]) -> None:
    kd_ok("evaluate", _student(chained))
    assert _report(_student(chained)) == report


def test_an_export_needs_no_evaluation_to_know_the_best(
    chained: House, report: dict[str, Any]
) -> None:
    before = json.loads((_student(chained) / "exported.json").read_text("utf-8"))["models"]
    assert before.keys() == set(ROLES) - {"baseline"}
    for role, part in before.items():
        for key in ("name", "params", "macs", "file_bytes", "latency_ms"):
            assert report["models"][role][key] == part[key], (role, key)


@pytest.mark.slow
def test_given_teachers_are_measured_on_validation_and_seeds_averaged(
    chained: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(chained.path, tmp_path / "runs")
    monkeypatch.setenv("KD_RUNS", str(tmp_path / "runs"))
    house, refs, validation = House(tmp_path / "runs"), [], []
    for i, run in enumerate(house.runs("teacher-")):
        file = shutil.copy(run / "model.pt", tmp_path / f"{i}.pt")
        refs.append(TeacherRef(model=TEACHER, path=str(file), sha256=sha256(Path(file))))
        validation.append(Run(run).outcome()["val_accuracy"])
    spec = Run(_student(house)).spec.members[0].spec
    assert spec is not None
    spec = spec.model_copy(update={"role": "student", "teachers": tuple(refs)})
    source = reopen_data(spec.data, Silent())
    run = ensure(spec, Site(source, torch.device("cpu"), Silent()), asked=True).run
    report = kd_ok("evaluate", run.path, "--seeds", "2", "--json").document
    assert [m["validation_accuracy"] for m in report["teachers"]] == pytest.approx(validation)
    assert all(m["train_seconds"] is None for m in report["teachers"])
    e, student = report["comparison"]["ensemble"], report["models"]["student"]
    assert len(student["seeds"]) == 2
    assert e["gap_to_single"] == pytest.approx(
        student["accuracy"] - report["models"]["teacher"]["accuracy"]
    )
    out = kd_ok("inspect", run.path).out
    assert f"{TEACHER} x 2" in out
