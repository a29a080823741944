"""Who is compared in a run: several teachers, assistants, and files that have changed."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from kdcli.commands.evaluate import find_cast
from kdcli.core.errors import DamagedFile
from kdcli.core.files import sha256
from kdcli.core.progress import Silent
from kdcli.deploy.cost_comparison import files_beside
from kdcli.evaluation.participants import Cast, cast_at_hand, with_given_files
from kdcli.recipe.load import load_recipe
from kdcli.runs.run import Run, begin
from kdcli.runs.spec import DataRef, Spec, TeacherRef
from kdcli.training.site import Site

DATA = DataRef(name="d", location=None, identity={})


class Heard(Silent):
    """Keeps the warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def _ref(spec: Spec) -> TeacherRef:
    return TeacherRef(model=spec.model, spec=spec)


def _run(folder: Path, role: Any, *above: tuple[TeacherRef, Path], **more: Any) -> Run:
    """A finished run whose model.pt is no model, with what it needs."""
    spec = Spec(
        role=role,
        model="m",
        data=DATA,
        recipe_name="r",
        recipe=load_recipe("average" if len(above) > 1 else "kd").recipe,
        seed=len(list(folder.iterdir())),
        teachers=tuple(ref for ref, _ in above),
    ).model_copy(update=more)
    run = begin(folder / f"{role}-{spec.digest}", spec, False, {})
    run.model.write_text(run.path.name)
    needs = {
        f"teacher.{i}": {"path": f"../{file.parent.name}/{file.name}", "sha256": sha256(file)}
        for i, (_, file) in enumerate(above)
    }
    (run.path / "needs.json").write_text(json.dumps(needs))
    return run


def _above(run: Run) -> tuple[TeacherRef, Path]:
    return _ref(run.spec), run.model


@pytest.fixture
def ensemble(tmp_path: Path) -> Run:
    return _run(tmp_path, "student", *[_above(_run(tmp_path, "teacher")) for _ in range(5)])


@pytest.fixture
def chain(tmp_path: Path) -> Run:
    """Two teachers, two assistants, a student."""
    teachers = [_above(_run(tmp_path, "teacher")) for _ in range(2)]
    first = _run(tmp_path, "assistant", *teachers)
    second = _run(tmp_path, "assistant", _above(first))
    return _run(tmp_path, "student", _above(second))


def _found(run: Run, progress: Silent | None = None) -> Cast:
    nowhere = SimpleNamespace()
    return find_cast(run, Site(nowhere, torch.device("cpu"), progress or Silent()))  # type: ignore[arg-type]


def _lies(path: Path) -> Path:
    return path.resolve()


@pytest.mark.parametrize("find", [_found, cast_at_hand])
def test_all_members_of_an_ensemble(find: Any, ensemble: Run) -> None:
    cast = find(ensemble)
    assert cast.is_ensemble
    assert cast.panel.weights == (0.2,) * 5
    assert cast.assistants == {}
    assert [m.file.read_text() for m in cast.teachers] == [
        f"teacher-{ref.spec.digest}" for ref in ensemble.spec.members if ref.spec
    ]


@pytest.mark.parametrize("find", [_found, cast_at_hand])
def test_a_chain_has_its_teachers_at_its_head(find: Any, chain: Run) -> None:
    cast = find(chain)
    assert [m.ref.spec.role for m in cast.teachers] == ["teacher"] * 2
    assert cast.is_ensemble
    assert list(cast.assistants) == ["assistant_1", "assistant_2"]
    (last,) = chain.needs().values()
    assert _lies(cast.assistants["assistant_2"].file) == _lies(last.path)


def test_a_single_assistant_has_no_number(tmp_path: Path) -> None:
    first = _run(tmp_path, "assistant", _above(_run(tmp_path, "teacher")))
    cast = cast_at_hand(_run(tmp_path, "student", _above(first)))
    assert list(cast.assistants) == ["assistant"]
    assert not cast.is_ensemble


def test_who_is_not_at_hand_is_left_out(chain: Run) -> None:
    (last,) = chain.needs().values()
    (first,) = Run(last.path.parent).needs().values()
    heads = Run(first.path.parent).needs()
    heads["teacher.1"].path.unlink()
    cast = cast_at_hand(chain)
    assert (len(cast.teachers), cast.is_ensemble) == (1, False)
    last.path.unlink()
    cast = cast_at_hand(chain)
    assert (cast.teachers, cast.assistants) == ((), {})


def test_who_is_left_keeps_the_number(ensemble: Run) -> None:
    """The best of a report is the fourth member, whoever before it is gone."""
    needs = ensemble.needs()
    needs["teacher.1"].path.unlink()
    assert [m.number for m in cast_at_hand(ensemble).teachers] == [0, 2, 3, 4]
    assert list(files_beside(ensemble, 3)["teacher"]) == [needs["teacher.3"].path]
    assert "teacher" not in files_beside(ensemble, 1)


def test_who_learnt_along_keeps_the_number(tmp_path: Path) -> None:
    recipe = load_recipe("average", ("teacher.follow=together",)).recipe
    teachers = [_above(_run(tmp_path, "teacher")) for _ in range(3)]
    run = _run(tmp_path, "student", *teachers, recipe=recipe)
    (run.path / "needs.json").unlink()
    for name in run.spec.alongside:
        run.other(name).write_text(name)
    assert [m.file.read_text() for m in _found(run).teachers] == list(run.spec.alongside)
    run.other("teacher.0").unlink()
    left = cast_at_hand(run).teachers
    assert [(m.number, m.file.name) for m in left] == [
        (1, "model.teacher_1.pt"),
        (2, "model.teacher_2.pt"),
    ]
    assert [m.ref for m in left] == list(run.spec.members[1:])
    with pytest.raises(DamagedFile, match="learnt with its student is gone"):
        _found(run)


def test_changed_files_are_told_three_by_name(ensemble: Run) -> None:
    heard = Heard()
    _found(ensemble, heard)
    assert heard.warnings == []
    for need in ensemble.needs().values():
        need.path.write_text("another")
    _found(ensemble, heard)
    (warning,) = heard.warnings
    assert warning.endswith(f" and 2 more: not the bytes that {ensemble.path} was made with")
    assert warning.count("model.pt") == 3


def test_a_changed_file_of_a_head_is_told_of_the_student(chain: Run) -> None:
    (last,) = chain.needs().values()
    (first,) = Run(last.path.parent).needs().values()
    head = Run(first.path.parent).needs()["teacher.0"].path
    head.write_text("another")
    heard = Heard()
    _found(chain, heard)
    assert heard.warnings == [f"{_lies(head)}: not the bytes that {chain.path} was made with"]


def test_given_teachers_that_are_gone_are_refused_together(tmp_path: Path) -> None:
    given = [tmp_path / f"{name}.pt" for name in "abcde"]
    for file in given:
        file.write_text(file.name)
    refs = [(TeacherRef(model="m", path=str(f), sha256=sha256(f)), f) for f in given]
    run = _run(tmp_path, "student", *refs)
    assert [m.file for m in _found(run).teachers] == given
    assert _found(run).teachers[0].validation is None
    for file in given[1:]:
        file.unlink()
    with pytest.raises(DamagedFile, match=r"b\.pt, .*c\.pt, .*d\.pt and 1 more: gone"):
        _found(run)


def test_a_project_may_move_with_its_given_teachers(tmp_path: Path) -> None:
    before = tmp_path / "before"
    adopted = before / "given-m" / "model.pt"
    adopted.parent.mkdir(parents=True)
    adopted.write_text("given")
    ref = TeacherRef(model="m", path=str(adopted), sha256=sha256(adopted))
    run = _run(before, "student", (ref, adopted))
    after = Run(before.rename(tmp_path / "after") / run.path.name)
    place = tmp_path / "after" / "given-m" / "model.pt"
    (member,) = _found(after).teachers
    assert _lies(member.file) == place
    spec = with_given_files(after)
    assert _lies(Path(spec.teachers[0].path or "")) == place
    assert spec.digest == after.spec.digest
    place.write_text("another")
    with pytest.raises(DamagedFile, match="gone, or no longer the file"):
        _found(after)


def test_validation_accuracy_is_that_of_the_members_own_run(ensemble: Run) -> None:
    first = next(iter(ensemble.needs().values())).path.parent
    (first / "metrics.jsonl").write_text('{"ended": "epochs", "val_accuracy": 0.75}\n')
    assert [m.validation for m in cast_at_hand(ensemble).teachers] == [0.75, *[None] * 4]
