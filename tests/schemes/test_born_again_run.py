"""A model that teaches itself: its chain, trained, killed, gone on with, and measured."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from house import TEACHER, House, asked, kd, kd_ok, same_weights, save_untrained

from kdcli.commands.distill import distill_job
from kdcli.commands.train import train_job
from kdcli.core.errors import UnmetNeeds, UsageError
from kdcli.core.progress import Silent
from kdcli.evaluation import metrics
from kdcli.evaluation.generations import earlier
from kdcli.evaluation.participants import cast_at_hand, with_given_files
from kdcli.plan.ask import Ask
from kdcli.plan.foreseen import Forecast
from kdcli.recipe.edit import dump
from kdcli.report.gates import parse_gates
from kdcli.report.keys import numeric_keys
from kdcli.runs.baseline import baseline_of
from kdcli.runs.inventory import inventory
from kdcli.runs.prune import disposable
from kdcli.runs.run import Run
from kdcli.runs.spec import Spec, with_seed

OTHER = "test_efficientnet"


def line(pictures: Path) -> tuple[str, ...]:
    born_again = ("distill", "--student", TEACHER, "--recipe", "born_again")
    return (*born_again, "--data", str(pictures), "--set", "train.epochs=1")


def spec_of(
    pictures: Path, *settings: str, recipe: str = "born_again", progress: Any = None, **changes: Any
) -> Spec:
    own = {"teachers": None, "student": TEACHER} | changes
    ask = asked(recipe, pictures, "train.epochs=1", *settings, **own)
    return distill_job(ask, progress or Silent()).spec


def chain(spec: Spec) -> list[Spec]:
    """From the student up."""
    above = spec.teachers[0].spec if spec.teachers else None
    return [spec, *(chain(above) if above else ())]


@pytest.fixture(scope="session")
def generations_once(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> House:
    """Two generations behind the first, killed before the second, gone on with, evaluated."""
    from kdcli.training import ensure as verb

    house, real, begun = House(tmp_path_factory.mktemp("generations") / "runs"), verb.begin, []

    def killed_at_the_second(*run: Any) -> Any:
        begun.append(run)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return real(*run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_RUNS", str(house.path))
        with pytest.MonkeyPatch.context() as kill:
            nothing = Forecast(now=(), later=(), free_bytes=0)
            kill.setattr(verb, "begin", killed_at_the_second)
            kill.setattr("kdcli.commands.train.foresee", lambda *job, **options: nothing)
            assert kd(*line(pictures)).code == 130
        first = house.teacher / "model.pt"
        written = first.stat().st_mtime_ns
        answer = kd_ok(*line(pictures))
        assert first.stat().st_mtime_ns == written, "generation 0 was finished before the kill"
        assert f"plan: generation 1 {TEACHER} 1 epoch ~" in answer.err
        assert f"no finished generation 1 {TEACHER} on pictures yet: training one" in answer.err
        kd_ok("evaluate")
    return house


@pytest.fixture
def generations(generations_once: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A copy to work in."""
    house = House(shutil.copytree(generations_once.path, tmp_path / "runs"))
    monkeypatch.setenv("KD_RUNS", str(house.path))
    return house


def student(house: House) -> Path:
    return house.run("born_again-")


# Who teaches whom --------------------------------------------------------------------------------


def test_each_generation_is_taught_by_the_one_before(pictures: Path) -> None:
    spec = spec_of(pictures, "scheme.generations=3", seed=4)
    specs = chain(spec)
    assert [one.title for one in specs] == ["student", "generation 2", "generation 1", "teacher"]
    assert [one.start for one in specs] == ["student", "generation.2", "generation.1", "teacher"]
    assert [one.seed for one in specs] == [4, 4, 4, 0]
    schemes = [one.recipe.scheme.name for one in specs]
    assert schemes == ["born_again", "offline", "offline", "alone"]
    assert {one.model for one in specs} == {TEACHER}
    assert {baseline_of(one).digest for one in specs[:-1]} == {baseline_of(spec).digest}


def test_generation_0_is_the_baseline_from_other_weights(pictures: Path) -> None:
    spec = spec_of(pictures, "train.lr=0.01", "teacher.seed=2")
    first, baseline = chain(spec)[-1], baseline_of(spec)
    assert (first.start, first.seed) == ("teacher", 2)
    assert baseline.start == spec.start == "student"
    decisive = [dump(one.recipe) for one in (first, baseline)]
    for recipe in decisive:
        del recipe["teacher"]  # whoever is taught by nobody has no use for it
    assert decisive[0] == decisive[1]


def test_generation_0_is_the_model_that_kd_train_makes(pictures: Path) -> None:
    settings, data = ("train.epochs=1",), str(pictures)
    ahead = train_job(Ask("supervised", model=TEACHER, settings=settings, data=data), Silent()).spec
    assert chain(spec_of(pictures))[-1].digest == ahead.digest


def test_more_generations_reuse_all_but_the_last(pictures: Path) -> None:
    two, four = (chain(spec_of(pictures, f"scheme.generations={n}")) for n in (2, 4))
    assert [one.digest for one in four[3:]] == [one.digest for one in two[1:]]
    assert len({one.digest for one in [*two, *four]}) == 6


def test_a_further_seed_is_a_chain_of_its_own_below_the_same_generation_0(pictures: Path) -> None:
    spec = spec_of(pictures, "scheme.generations=3")
    other = with_seed(spec, 1)
    assert [one.seed for one in chain(other)] == [1, 1, 1, 0]
    assert [one.digest for one in chain(other)] == [
        one.digest for one in chain(spec_of(pictures, "scheme.generations=3", seed=1))
    ]
    assert other.kind == spec.kind
    assert other.digest != spec.digest


def test_a_named_teacher_takes_the_place_of_generation_0(pictures: Path, tmp_path: Path) -> None:
    specs = chain(spec_of(pictures, teachers=OTHER))
    assert [one.model for one in specs] == [TEACHER, TEACHER, OTHER]
    assert specs[-1].recipe_name == "supervised"
    given = save_untrained(tmp_path / "mine.pt", ("one", "two", "zero"))
    spec = spec_of(pictures, teachers=str(given))
    (ref,) = chain(spec)[-1].teachers
    assert ref.path == str(given)


def test_a_given_teacher_is_found_for_further_seeds_where_it_lies_now(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "before").mkdir()
    given = save_untrained(tmp_path / "before" / "mine.pt", ("one", "two", "zero"))
    spec = spec_of(pictures, teachers=str(given))
    moved = given.rename(tmp_path / "mine.pt")
    (sha,) = (ref.sha256 for ref in chain(spec)[-1].teachers)
    monkeypatch.setattr("kdcli.evaluation.participants.given_files", lambda run: {sha: moved})
    monkeypatch.setattr(Run, "spec", spec)
    (ref,) = chain(with_given_files(Run(tmp_path)))[-1].teachers
    assert ref.path == str(moved)


# What is refused ---------------------------------------------------------------------------------


def test_nobody_stands_between_generations(pictures: Path) -> None:
    with pytest.raises(UsageError, match=rf"--assistant {OTHER}: in scheme born_again") as refused:
        spec_of(pictures, assistants=[OTHER])
    assert refused.value.fix


def test_one_teacher_and_no_more(pictures: Path) -> None:
    with pytest.raises(UnmetNeeds, match="scheme born_again takes one teacher, not 2"):
        spec_of(pictures, teachers=[TEACHER, OTHER])


def test_only_a_student_can_be_born_again(pictures: Path) -> None:
    answer = kd("train", TEACHER, "--recipe", "born_again")
    assert answer.code == 2
    assert "recipe born_again makes a student (scheme born_again)" in answer.err
    with pytest.raises(UsageError, match="makes a student"):
        spec_of(pictures, "teacher.recipe=born_again", recipe="kd", teachers=TEACHER)
    with pytest.raises(UsageError, match=r"train\.tune=head"):
        spec_of(pictures, "train.tune=head")


# Trained -----------------------------------------------------------------------------------------


def test_a_dry_run_lists_every_generation(empty_house: House, pictures: Path) -> None:
    plan = kd_ok(*line(pictures), "--set", "scheme.generations=3", "--dry-run", "--json")
    roles = [one["role"] for one in plan.document["plan"]["now"]]
    assert roles == ["teacher", "generation 1", "generation 2", "student"]
    assert not empty_house.runs()


@pytest.mark.slow
def test_the_chain_lies_under_runs_and_goes_on_after_a_kill(
    generations: House, pictures: Path
) -> None:
    names = [run.name.rsplit("-", 1)[0] for run in generations.runs()]
    assert sorted(names) == [
        f"baseline-{TEACHER}-pictures-s0",
        f"born_again-{TEACHER}-{TEACHER}-pictures-s0",
        f"generation_1-{TEACHER}-pictures-s0",
        f"teacher-{TEACHER}-pictures-s0",
    ]
    assert disposable(inventory()) == []
    assert kd_ok(*line(pictures), "--json").document["reused"] is True


def test_generation_1_is_a_student_of_kd_at_temperature_1(
    generations: House, pictures: Path
) -> None:
    """One generation behind generation 0 is plain distillation from it, bit for bit."""
    teacher = ("distill", "--teacher", str(generations.teacher), "--student", TEACHER)
    data = ("--data", str(pictures), "--set", "train.epochs=1")
    settings = ["task.weight=0", "methods.kd.weight=1", "methods.kd.temperature=1"]
    settings += ["teacher.allow_weak=true"]
    kd_ok(*teacher, *data, *(word for one in settings for word in ("--set", one)))
    kd_ok(*line(pictures), "--set", "scheme.generations=1", "--out", generations.path / "one")
    plain = generations.run("kd-") / "model.pt"
    assert same_weights(plain, generations.path / "one" / "model.pt")
    assert not same_weights(plain, student(generations) / "model.pt")


# On test -----------------------------------------------------------------------------------------


def test_every_generation_has_its_column(generations: House) -> None:
    report = json.loads((student(generations) / "report.json").read_text("utf-8"))
    roles = {"teacher", "generation_1", "student", "baseline", "generations"}
    assert set(report["models"]) == roles
    table = (student(generations) / "report.md").read_text("utf-8")
    assert "| teacher | generation 1 | student | generations | baseline |" in table
    (said,) = [note for note in report["notes"] if "along the chain" in note]
    assert "generation 1" in said
    (whole,) = [note for note in report["notes"] if note.startswith("all generations as one")]
    assert "3 times its parameters" in whole
    assert not any("little to learn" in note for note in report["notes"])
    assert not any("one for all" in note for note in report["notes"]), "a single seed"


def test_the_ensemble_is_the_mean_of_all_probabilities(generations: House) -> None:
    kept = np.load(student(generations) / "predictions.npz")
    members = [kept[role][0] for role in ("teacher", "generation_1", "student")]
    mean = np.mean([torch.tensor(one).softmax(1).numpy() for one in members], 0)
    found = torch.tensor(kept["generations"][0]).softmax(1).numpy()
    assert found == pytest.approx(mean, abs=1e-6)
    models = json.loads((student(generations) / "report.json").read_text("utf-8"))["models"]
    assert models["generations"]["accuracy"] == metrics.accuracy(mean, kept["labels"])
    assert models["generations"]["params"] == 3 * models["student"]["params"]
    alone = [models[role]["train_seconds"] for role in ("teacher", "generation_1", "student")]
    assert models["generations"]["train_seconds"] == pytest.approx(sum(alone))


@pytest.mark.slow
def test_further_seeds_have_generations_of_their_own(generations: House) -> None:
    kd_ok("evaluate", student(generations), "--seeds", "2")
    firsts = generations.runs("generation_1-")
    assert [run.name.split("-s")[1][0] for run in firsts] == ["0", "1"]
    assert len(generations.runs("teacher-")) == 1
    kept = np.load(generations.runs("born_again-")[0] / "predictions.npz")
    assert len(kept["teacher"]) == 1
    assert len(kept["generation_1"]) == len(kept["generations"]) == len(kept["student"]) == 2
    assert not np.array_equal(*kept["generation_1"])
    report = json.loads((generations.runs("born_again-")[0] / "report.json").read_text("utf-8"))
    assert any("generation 0 (teacher) is one for all 2 seeds" in n for n in report["notes"])


def test_a_teacher_of_another_architecture_is_no_generation(generations: House) -> None:
    run = Run(generations.runs("born_again-")[0])
    cast = cast_at_hand(run)
    assert list(earlier(run.spec, cast)) == ["teacher", "generation_1"]
    other = run.spec.model_copy(update={"model": OTHER})
    assert list(earlier(other, cast)) == ["generation_1"]


def test_gates_on_generations() -> None:
    assert {"models.generations.accuracy", "models.generation_1.accuracy"} <= numeric_keys()
    gates = parse_gates(("generation_2.accuracy=0.5", "generations.accuracy=0.5"), ())
    keys = [gate.key for gate in gates]
    assert keys == ["models.generation_2.accuracy", "models.generations.accuracy"]
