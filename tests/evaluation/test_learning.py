"""How a role's training ended, as its log says."""

import json
from pathlib import Path

import pytest

from kdcli.evaluation.learning import learning
from kdcli.runs.run import Run

CURVE = ("train_accuracy", "val_accuracy", "val_nll")


def _run(folder: Path, *lines: dict[str, object]) -> Run:
    folder.mkdir()
    (folder / "model.pt").write_bytes(b"whole")
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return Run(folder)


def _epoch(number: int, task: float | None, **more: object) -> dict[str, object]:
    shares = {"kd": 1.0} if task is None else {"task": task, "kd": 1 - task}
    return {
        "epoch": number,
        **dict(zip(CURVE, (0.5, 0.25 * number, 1.0), strict=True)),
        "terms": {"task": 2.0, "kd": 4.0},
        "weights": {"task": 0.1, "kd": 0.9},
        "share_of_loss": {"task": 0.1, "kd": 0.9},
        "share_of_gradient": shares,
    }


END = {"ended": "epochs", "best_epoch": 1, "val_accuracy": 0.75, "epochs": 2}


def test_it_is_the_mean_of_the_last_epochs(tmp_path: Path) -> None:
    first = _run(tmp_path / "a", _epoch(1, 0.9), _epoch(2, 0.2), END)
    second = _run(tmp_path / "b", _epoch(1, 0.9), _epoch(2, 0.4), END | {"best_epoch": 2})
    found = learning([first, second])
    assert [t.term for t in found["terms"]] == ["task", "kd"]
    assert found["terms"][0].share_of_gradient == pytest.approx(0.3)
    assert found["terms"][1].weight == pytest.approx(0.9)
    assert found["curve"].validation_accuracy == 0.5
    assert found["curve"].best_epoch == 1.5
    assert found["curve"].best_validation_accuracy == 0.75


def test_what_one_seed_does_not_know_is_null(tmp_path: Path) -> None:
    runs = [_run(tmp_path / "a", _epoch(1, 0.2), END), _run(tmp_path / "b", _epoch(1, None), END)]
    assert learning(runs)["terms"][0].share_of_gradient is None


def test_one_term_has_no_share_and_an_unfinished_run_no_end(tmp_path: Path) -> None:
    alone = {key: value for key, value in _epoch(1, 0.2).items() if "share" not in key}
    assert set(learning([_run(tmp_path / "a", alone, END)])) == {"curve"}
    assert set(learning([_run(tmp_path / "b", _epoch(1, 0.2))])) == {"terms"}
    assert learning([]) == {}
