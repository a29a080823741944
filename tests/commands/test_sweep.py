"""`kd sweep`: what is missing is done, what failed is named, the table is that of kd compare."""

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from house import SMALL_TEACHER, STUDENT, TEACHER, House, kd, kd_ok

from kdcli.commands.sweep_plan import plan_sweep
from kdcli.core.progress import Silent
from kdcli.evaluation.significance import holm
from kdcli.jobs import local
from kdcli.jobs.engine import Outcome, Watch, not_run, open_log, outcome_of
from kdcli.jobs.node import Graph, Node
from kdcli.runs.run import Run

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, pictures: Path) -> Write:
    """Writes FILE.yaml; what `small` has trained is its first cell."""

    def write(axes: str, common: str = "", further: str = "") -> Path:
        file = tmp_path / "cells.yaml"
        own = f"teacher: {TEACHER}, student: {STUDENT}, data: {pictures}, train.batch_size: 32"
        own += f", train.epochs: 3, teacher.recipe: {SMALL_TEACHER}{common}"
        file.write_text(f"common: {{{own}}}\naxes: {{{axes}}}\n{further}", "utf-8")
        return file

    return write


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The engine in this process: seconds less for each job. The command lines, as they come."""
    lines: list[str] = []

    def run(_: object, nodes: Sequence[Node], watch: Watch) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        for node in nodes:
            lost = not_run(node, outcomes)
            if not lost:
                lines.append(node.command)
                answer = kd(*shlex.split(node.command)[1:])
                with open_log(node) as file:
                    file.write((answer.out + answer.err).encode())
            outcomes[node.name] = lost or outcome_of(node, answer.code)
            watch.ended(node, outcomes[node.name])
        return outcomes

    monkeypatch.setattr(local.Local, "run", run)
    return lines


def kinds(graph: Graph) -> list[str]:
    return [node.kind for node in graph.missing]


def planned(file: Path) -> Graph:
    return plan_sweep(file, "auto", Silent())


def test_cells_are_trained_found_and_compared(small: House, write: Write, here: list[str]) -> None:
    file = write("recipe: [kd, dkd], seed: [0, 1]")
    early = kd("sweep", file, "--table")
    assert (early.code, "1 of 4 cells done, none with its baseline" in early.err) == (3, True)
    done = kd_ok("sweep", file, "--json").document
    assert (done["done"], done["failed"]) == (4, [])
    assert len(small.runs("teacher-")) == 1
    assert not any(
        "--only" not in line and "--seed 0" in line and "dkd" not in line for line in here
    )
    assert sum("kd evaluate" in line for line in here) == 2
    assert {Path(cell["run"]) for cell in done["cells"]} == {
        *small.runs("kd-"),
        *small.runs("dkd-"),
    }

    again = kd_ok("sweep", file)
    assert "4 cells, 4 done; to do: nothing" in again.err
    more = planned(write("recipe: [kd, dkd], seed: [0, 1, 2]"))
    assert kinds(more) == ["baseline", *["student"] * 2, *["evaluation"] * 2]

    (found,) = kd_ok("sweep", file, "--table", "--json").document["tables"]
    told = [
        json.loads((Path(row["run"]) / "report.json").read_text()) for row in found["candidates"]
    ]
    for row, report in zip(found["candidates"], told, strict=True):
        assert row["seeds"] == [0, 1]
        assert row["accuracy"] == pytest.approx(report["models"]["student"]["accuracy"])
        for key in ("gain", "gain_ci95"):
            assert row[key] == pytest.approx(report["comparison"][key])
    alone = [report["comparison"]["p_value"] for report in told]
    assert [row["p_value"] for row in found["candidates"]] == pytest.approx(holm(alone))
    assert "4 of 6 done" in kd_ok("sweep", file, "--table", "--markdown").out


@pytest.mark.slow
def test_a_failed_cell_is_named_and_the_others_go_on(
    small: House, write: Write, here: list[str]
) -> None:
    file = write("train.lr: [1.0e+30, 1.0e-3]")
    answer = kd("sweep", file)
    assert answer.code == 4
    assert "failed (exit 4): student train.lr=1e+30" in answer.out
    assert "log: " in answer.out
    assert "failed: train.lr=1e+30" in answer.out
    assert "1 of 2 cells done" in answer.out
    (one,) = kd_ok("sweep", file, "--table", "--json").document["tables"]
    assert len(one["candidates"]) == 1, "one row is a table, too"
    failed = kd("sweep", file, "--json").document
    states = {cell["cell"]["train.lr"]: (cell["state"], cell["code"]) for cell in failed["cells"]}
    assert states == {1e30: ("failed", 4), 1e-3: ("done", 0)}
    assert failed["error"]["code"] == 4


@pytest.mark.slow
def test_rows_of_what_was_not_evaluated_are_asked_now(small: House, write: Write) -> None:
    """As where the evaluation of a group waits for a seed that has failed."""
    file = write("seed: [0]")
    only = [node for node in planned(file).missing if node.kind == "baseline"]
    kd_ok(*shlex.split(only[0].command)[1:])
    found = kd_ok("sweep", file, "--table", "--json").document
    assert (found["done"], found["cells"]) == (1, 1)
    kd_ok("evaluate", small.student)
    later = kd_ok("sweep", file, "--table", "--json").document
    one, other = (each["tables"][0]["candidates"][0] for each in (found, later))
    for key in ("accuracy", "gain", "p_value"):
        assert one[key] == pytest.approx(other[key])


def test_all_that_kd_distill_would_refuse_is_told_at_once(write: Write, empty_house: House) -> None:
    answer = kd("sweep", write("recipe: [kd, kdd], train.lr: [0.1, -1], seed: [0, 1]"), "--dry-run")
    assert answer.code == 2
    for said in ("recipe=kdd train.lr=0.1 seed=0: no recipe 'kdd'", "recipe=kd train.lr=-1 seed=0"):
        assert answer.err.count(said) == 1, answer.err
    assert "seed=1" not in answer.err, "each mistake once"


def test_each_training_is_one_job_behind_what_it_needs(write: Write, empty_house: House) -> None:
    """Chains, ensembles, answers that are stored for several students, exports."""
    axes = "recipe: [kd, born_again], train.lr: [0.01, 0.02], seed: [0, 1, 3]"
    graph = planned(write(axes, ", teacher.answers: stored", "export: true"))
    count = {kind: kinds(graph).count(kind) for kind in dict.fromkeys(kinds(graph))}
    assert count == {
        "teacher": 1,
        "generation": 6,
        "answers": 1,
        "student": 12,
        "baseline": 6,
        "evaluation": 8,
        "export": 4,
    }
    seen: set[str] = set()
    for node in graph.nodes:
        assert seen >= {*node.needs}, node.words
        assert node.name not in seen
        seen.add(node.name)


def test_a_cell_that_kd_distill_refuses_is_named_before_any_work(
    write: Write, empty_house: House
) -> None:
    answer = kd("sweep", write("recipe: [kd, supervised]"))
    assert answer.code == 2
    assert "cells.yaml: recipe=supervised: recipe supervised has no teacher" in answer.err
    answer = kd("sweep", write("recipe: [kd]", ", methods.kd.temprature: 3"))
    assert "did you mean 'methods.kd.temperature'" in answer.err
    assert not empty_house.path.exists()


def test_only_one_training_of_a_command(small: House, write: Write) -> None:
    node = next(node for node in planned(write("seed: [0]")).missing if node.kind == "baseline")
    words = shlex.split(node.command)[1:]
    kd_ok(*words)
    assert small.run("baseline-").name.endswith(words[-1])
    assert not Run(small.run("baseline-")).asked
    answer = kd(*words[:-1], "0a0a0a0a")
    assert (answer.code, f"{words[-1]} (baseline {STUDENT})" in answer.err) == (2, True)


def test_stored_answers_are_what_students_look_up(small: House, write: Write) -> None:
    graph = planned(write("seed: [1, 2, 3]", ", teacher.views: 2"))
    (node,) = [node for node in graph.missing if node.kind == "answers"]
    found = kd_ok(*shlex.split(node.command)[1:], "--json").document
    assert (found["views"], found["images"], node.is_done()) == (2, 84, True)
    assert kinds(planned(write("seed: [1, 2, 3]", ", teacher.views: 2"))).count("answers") == 0
    student = next(node for node in graph.missing if node.kind == "student")
    kd_ok(*shlex.split(student.command)[1:])
    (store,) = found["stores"]
    assert Path(store).name in (student.run / "run.yaml").read_text("utf-8")
    assert kd(*shlex.split(node.command)[1:], "--dry-run").code == 2
