"""What evaluate and export say of a student that no teacher taught, and of who learnt with it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from house import STUDENT, TEACHER, Answer, House, kd, kd_ok

from kdcli.core.functional import as_one
from kdcli.core.records import Panel
from kdcli.deploy import cost_comparison
from kdcli.evaluation.measure import likeness
from kdcli.evaluation.peers import measure_beside, notes_on_peers
from kdcli.plan.foreseen import Forecast
from kdcli.runs.run import Run

ROLES = ("student", "baseline", "peer_1", "peer_2", "peers")
OF_A_TEACHER = {
    *("gap_closed", "accuracy_drop", "agreement", "size_reduction", "macs_reduction", "speedup"),
    *("distillation_score", "class_lost_most", "ensemble", "size_priority"),
}
PICKING = "picking the best of 2 is part of the scheme's gain"


def _mutual(pictures: Path, *more: str) -> tuple[str, ...]:
    """Three networks: the student, a peer of another architecture, a copy of the student."""
    line = ("distill", "--student", STUDENT, "--recipe", "mutual", "--data", str(pictures))
    peers = ("--peer", TEACHER, "--set", "scheme.peers=3", "--set", "train.epochs=2")
    return (*line, *peers, "--set", "train.batch_size=32", *more)


@pytest.fixture(scope="module")
def made(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, str]]:
    """Distilled, evaluated, exported; and what was said after the first."""
    path = tmp_path_factory.mktemp("mutual") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_RUNS", str(path))
        said = kd_ok(*_mutual(pictures)).out
        kd_ok("evaluate")
        kd_ok("export")
        yield House(path), said


@pytest.fixture
def house(made: tuple[House, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A copy to work in."""
    shutil.copytree(made[0].path, tmp_path / "runs")
    monkeypatch.setenv("KD_RUNS", str(tmp_path / "runs"))
    return House(tmp_path / "runs")


@pytest.fixture
def quick(made: tuple[House, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporting copies the file that is there."""

    def ready(module: Any, out: Path, **_: Any) -> None:
        shutil.copy(_run(made[0]).path / "export" / "model.onnx", out)

    monkeypatch.setattr(cost_comparison, "export_onnx", ready)
    monkeypatch.setattr("kdcli.deploy.onnx_files.export_onnx", ready)


def _run(house: House) -> Run:
    return Run(house.run("mutual-"))


def _report(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.path / "report.json").read_text("utf-8"))
    return found


@pytest.fixture
def report(made: tuple[House, str]) -> dict[str, Any]:
    return _report(_run(made[0]))


def test_what_to_type_next(made: tuple[House, str]) -> None:
    run = _run(made[0]).path
    assert [line for line in made[1].splitlines() if line.startswith("next:")] == [
        f"next: kd evaluate {run}",
        f"next: kd export {run}",
    ]


def test_it_is_compared_with_its_baseline_and_with_no_teacher(report: dict[str, Any]) -> None:
    models, c = report["models"], report["comparison"]
    assert models.keys() == set(ROLES)
    assert c["gain"] == pytest.approx(
        models["student"]["accuracy"] - models["baseline"]["accuracy"]
    )
    assert {key for key, value in c.items() if value is None} == OF_A_TEACHER | {"self_training"}
    assert all(part["agreement"] is part["kl_to_teacher"] is None for part in models.values())
    assert report["verdict"].split(";")[1].startswith(" one seed cannot tell the scheme from luck")
    assert "teacher" not in " ".join([report["verdict"], *report["notes"]])


def test_the_baseline_is_the_student_from_labels_alone(made: tuple[House, str]) -> None:
    student, baseline = _run(made[0]).spec, Run(made[0].run("baseline-")).spec
    assert (baseline.peers, baseline.recipe.methods) == ((), {})
    assert baseline.recipe.scheme.name == "alone"
    for same in ("model", "data", "seed"):
        assert getattr(baseline, same) == getattr(student, same)
    assert baseline.recipe.train == student.recipe.train


def test_peers_are_all_networks_as_one(made: tuple[House, str], report: dict[str, Any]) -> None:
    networks, models = ("student", "peer_1", "peer_2"), report["models"]
    with np.load(_run(made[0]).path / "predictions.npz") as kept:
        assert set(kept) == {"format", "ids", "labels", "sums", *ROLES}
        logits = torch.tensor(np.stack([kept[role][0] for role in networks], 1))
        expected = as_one(logits, Panel((1 / 3,) * 3)).numpy()
        np.testing.assert_allclose(kept["peers"][0], expected, atol=1e-5)
        right = kept["peers"][0].argmax(1) == kept["labels"]
    assert models["peers"]["accuracy"] == pytest.approx(right.mean())
    for cost in ("params", "macs"):
        assert models["peers"][cost] == sum(models[role][cost] for role in networks)
    assert models["peer_2"]["params"] == models["student"]["params"] != models["peer_1"]["params"]
    assert models["peers"]["name"] == f"ensemble of 3: {STUDENT} x 2, {TEACHER}"


def test_the_notes_say_who_ships_and_what_it_cost(report: dict[str, Any]) -> None:
    text = " ".join(report["notes"])
    assert PICKING in text
    assert "the student's training time is that of all 3 networks together" in text


def test_everybody_is_drawn(made: tuple[House, str], report: dict[str, Any]) -> None:
    page = (_run(made[0]).path / "report.md").read_text("utf-8")
    assert "| | student | baseline | peers | peer 1 | peer 2 |" in page
    assert "student and peers as one: " in page
    assert "agrees with" not in page
    assert report["verdict"] in page


def test_student_and_baseline_are_timed(report: dict[str, Any]) -> None:
    timed = {role for role, part in report["models"].items() if part["latency_ms"]}
    assert timed == {"student", "baseline"}
    assert report["exports"][0]["accuracy"] == pytest.approx(
        report["models"]["student"]["accuracy"]
    )


@pytest.mark.usefixtures("quick")
def test_an_export_may_come_first(house: House) -> None:
    run = _run(house)
    (run.path / "report.json").unlink()
    kd_ok("export")
    assert _report(run)["comparison"] is None
    before = _report(run)["models"]
    kd_ok("evaluate")
    found = _report(run)
    assert found["models"].keys() == set(ROLES)
    assert found["models"]["baseline"]["latency_ms"] == before["baseline"]["latency_ms"]


def test_gates_hold_peers_and_a_teachers_numbers_are_null(house: House) -> None:
    met = (
        "comparison.gain=-0.99",
        "models.peers.accuracy=0",
        "peer_2.accuracy=0",
        "peer_1.params=1",
    )
    words = [word for limit in met for word in ("--min", limit)]
    document = kd_ok("evaluate", *words, "--json").document
    assert all(gate["passed"] for gate in document["gates"])
    assert document["models"].keys() == set(ROLES)
    lost = ("--max", "comparison.class_lost_most.drop=0.9", "--min", "comparison.agreement=0")
    answer = kd("evaluate", *lost)
    assert answer.code == 8
    assert "comparison.class_lost_most.drop is null" in answer.err
    assert (
        "comparison.agreement is null: there is no teacher to compare with; at least 0"
        in answer.err
    )


@pytest.mark.slow
def test_three_seeds_speak_of_the_scheme(house: House) -> None:
    """The baseline of the second seed is interrupted; the same command goes on."""
    run = _run(house)
    answer = _interrupted_once(("evaluate", run.path, "--seeds", "3"))
    assert len(house.runs("mutual-")) == 3
    report = _report(run)
    for role in ROLES:
        assert [one["seed"] for one in report["models"][role]["seeds"]] == [0, 1, 2], role
    with np.load(run.path / "predictions.npz") as kept:
        assert {kept[role].shape[0] for role in ROLES} == {3}
    c = report["comparison"]
    assert c["seeds"] == 3
    assert report["verdict"].startswith(("Distillation (scheme mutual) ", "Undecided: "))
    (who,) = [note for note in report["notes"] if PICKING in note]
    assert all(f"(seed {seed})" in who for seed in range(3))
    assert answer.err.count("no baseline yet") == 2


def _interrupted_once(command: tuple[Any, ...]) -> Answer:
    """Ctrl-C when the second further baseline begins, then once more."""
    from kdcli.training import ensure as verb

    real, begun = verb.begin, []

    def begin(path: Path, *rest: Any) -> Run:
        begun.append(path)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return real(path, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verb, "begin", begin)
        assert kd(*command).code == 130
    return kd_ok(*command)


@pytest.mark.slow
def test_a_training_goes_on_where_it_was_interrupted(
    empty_house: House, pictures: Path, made: tuple[House, str]
) -> None:
    from kdcli.methods import kd as method

    line, loss, done = _mutual(pictures), method.kd_loss, []

    def interrupted(*tensors: Any) -> Any:
        done.append(1)
        if len(done) > 15:  # six pairs a step, two steps an epoch: in the middle of the second
            raise KeyboardInterrupt
        return loss(*tensors)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method, "kd_loss", interrupted)
        nothing = Forecast(now=(), later=(), free_bytes=0)
        patch.setattr("kdcli.commands.train.foresee", lambda *job, **options: nothing)
        assert kd(*line).code == 130
        assert (_run(empty_house).path / "state.pt").is_file()
    kd_ok(*line)
    again, whole = (kd_ok("evaluate", _run(h).path, "--json") for h in (empty_house, made[0]))
    for role in ROLES:
        found, expected = (one.document["models"][role]["nll"] for one in (again, whole))
        assert found == expected, role


@pytest.mark.usefixtures("quick")
def test_a_teacher_that_learnt_along_is_the_teacher(house: House) -> None:
    run = _run(house)
    shutil.copy(run.other("peer.1"), run.other("teacher"))
    kd_ok("evaluate")
    kd_ok("export")
    report = _report(run)
    models, c = report["models"], report["comparison"]
    assert c["accuracy_drop"] == pytest.approx(
        models["teacher"]["accuracy"] - models["student"]["accuracy"]
    )
    assert c["agreement"] == models["student"]["agreement"] is not None
    assert models["teacher"]["kl_to_teacher"] == pytest.approx(0, abs=1e-9)
    assert c["speedup"]["onnxruntime"] > 0


def test_a_run_knows_who_learnt_with_it(house: House) -> None:
    run = _run(house)
    document = kd_ok("inspect", run.path, "--json").document
    assert document["beside"] == [str(path) for path in run.others().values()]
    assert len(document["beside"]) == 2
    assert f"peer {TEACHER}, peer {STUDENT}" in run.log.read_text("utf-8")


def test_who_teaches_is_listed() -> None:
    rows = [line.split("│") for line in kd_ok("list", "schemes").out.splitlines()]
    taught_by = {row[1].strip(): row[3].strip() for row in rows if len(row) > 3}
    assert (taught_by["mutual"], taught_by["offline"], taught_by["alone"]) == (
        *("itself", "teachers"),
        "-",
    )


# Which network is which ---------------------------------------------------------------------------


def _kept(folder: Path, ships: str, *names: str) -> Run:
    """A run of three networks that keeps files of these names; they hold no model."""
    folder.mkdir()
    of = {"student": 0.5, "peer.2": 0.5}
    lines = ({"epoch": 1, "val_accuracy_of": of}, {"ended": "epochs", "ships": ships})
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for name in ("model", *(f"model.{one}" for one in names)):
        (folder / f"{name}.pt").write_bytes(b"whole")
    return Run(folder)


def _asked(runs: list[Run], monkeypatch: pytest.MonkeyPatch, *known: str) -> dict[str, list[str]]:
    def names(files: list[Path], *rest: Any) -> list[str]:
        return [file.name for file in files]

    monkeypatch.setattr("kdcli.evaluation.peers.measure", names)
    test: Any = None
    found: Any = measure_beside(runs, known, test, torch.device("cpu"))
    return dict(found)


def test_a_peer_that_ships_leaves_its_place_to_the_student(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _kept(tmp_path / "0", "student", "peer_1", "peer_2")
    second = _kept(tmp_path / "1", "peer.2", "peer_0", "peer_1")
    assert _asked([first, second], monkeypatch) == {
        "peer_1": ["model.peer_1.pt", "model.peer_1.pt"],
        "peer_2": ["model.peer_2.pt", "model.peer_0.pt"],
    }


def test_a_role_is_what_every_seed_has_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _kept(tmp_path / "0", "student", "exit_1", "fused", "teacher", "exit_10", "exit_2")
    second = _kept(tmp_path / "1", "student", "exit_1", "exit_2", "teacher", "exit_10")
    found = _asked([first, second], monkeypatch, "teacher")
    assert list(found) == ["exit_1", "exit_2", "exit_10"]


def test_each_student_is_compared_with_its_own_teacher() -> None:
    one, other = np.eye(2, dtype=np.float32)
    students, teachers = np.stack([[one], [other]]), np.stack([[one], [other]])
    assert likeness(students, teachers) == (1, pytest.approx(0, abs=1e-7))
    assert likeness(students, teachers[0])[0] == 0.5


def test_who_ships_is_said_of_one_run(made: tuple[House, str]) -> None:
    run = _run(made[0])
    ships = run.outcome()["ships"]
    assert notes_on_peers([run])[0] == (
        f"of 2 networks that could ship, {ships} was best on validation and ships: {PICKING}"
    )
