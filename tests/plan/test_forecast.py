"""The plan before the wait: what it counts, where it stops, and that it leaves nothing behind."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from house import DISTILL, TEACHER, House, kd, kd_ok, on_pictures

from kdcli.commands.distill import distill_job
from kdcli.commands.train import train_job
from kdcli.core.progress import Silent
from kdcli.core.text import duration
from kdcli.data.sources.folder import open_folder
from kdcli.plan import forecast as verb
from kdcli.plan import rehearsal
from kdcli.plan.ask import Ask
from kdcli.plan.estimate import Estimate
from kdcli.plan.forecast import foresee
from kdcli.plan.foreseen import Forecast
from kdcli.plan.rehearsal import estimate
from kdcli.plan.shortcuts import shortcuts
from kdcli.training.resume import Epochs, keep

MINUTE = 60.0


def one(**changes: Any) -> Estimate:
    values: dict[str, Any] = {"role": "student", "model": "small", "epochs": 20}
    values |= {"seconds": 40 * MINUTE, "model_bytes": 6_000_000, "state_bytes": 24_000_000}
    return Estimate(**(values | {"memory_bytes": 1_000_000_000} | changes))


WHOLE = Forecast(
    now=(
        one(role="teacher", model="big", epochs=10, seconds=170 * MINUTE, model_bytes=180_000_000),
        one(),
    ),
    later=(one(role="baseline", seconds=35 * MINUTE),),
    free_bytes=7_100_000_000,
)


def test_the_plan_in_one_line() -> None:
    (line,) = WHOLE.lines()
    assert line.startswith(
        "plan: teacher big 10 epochs ~ 2 h 50 min, student small 20 epochs ~ 40 min: about "
        "3 h 30 min in all (baseline later ~ 35 min); 240 MB disk (7.1 GB free), "
        "~ 1 GB memory; finishes about "
    )


def test_the_plan_says_what_photographs_take_in_the_cache() -> None:
    alike = tuple(replace(each, photograph_bytes=900_000_000) for each in WHOLE.now)
    (line,) = replace(WHOLE, now=alike).lines()
    assert "; 240 MB disk, 900 MB of photographs cached (7.1 GB free), " in line


def test_trainings_that_are_alike_are_one_entry() -> None:
    members = replace(WHOLE.now[0], times=5)
    several = replace(WHOLE, now=(members, WHOLE.now[1]))
    (line,) = several.lines()
    assert line.startswith("plan: 5 x teacher big 10 epochs ~ 2 h 50 min each, student small")
    assert several.seconds == (5 * 170 + 40) * MINUTE
    assert several.disk_bytes == WHOLE.disk_bytes + 4 * 180_000_000


def test_members_are_rehearsed_once(
    empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through an assistant; what only differs in its seed is one rehearsal."""
    rehearsed = []

    def noted(spec: Any, *others: Any, **named: Any) -> Estimate:
        rehearsed.append(spec)
        return one(role=spec.role, model=spec.model, epochs=1, seconds=1.0)

    monkeypatch.setattr(verb, "estimate", noted)
    job = distill_job(
        Ask(
            "kd",
            teachers=(
                "test_resnet",
                "test_vit",
            ),
            student="test_efficientnet",
            assistants=("test_resnet",),
            settings=("teacher.seeds=20", "teacher.subset=[0.6, 1.0]"),
            data=str(pictures),
        ),
        Silent(),
    )
    found = foresee(job, Silent())
    assert [(each.times, each.role, each.model) for each in found.now] == [
        (20, "teacher", "test_resnet"),
        (20, "teacher", "test_vit"),
        (1, "assistant", "test_resnet"),
        (1, "student", "test_efficientnet"),
    ]
    assert [each.role for each in found.later] == ["baseline"]
    assert len(rehearsed) == 5
    assert rehearsed[0].recipe.data.subset == 0.8, "of all that they draw, the mean"


def test_an_epoch_of_few_labels_is_a_pass_over_the_others(
    empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """52 of 82 have no labels, and are half of each batch: 13 steps of 8."""
    settings = ("data.hidden={keep: 10}", "train.epochs=10", "train.batch_size=8")
    ask = Ask(
        "few_labels",
        teachers=(TEACHER,),
        student="test_efficientnet",
        settings=settings,
        data=str(pictures),
    )
    job = distill_job(ask, Silent())
    monkeypatch.setattr(rehearsal, "rehearse", lambda *_: (1, [100.0] * 4))
    found = rehearsal.estimate(job.spec, job.source, job.device)
    assert 10 * 13 * 100.0 < found.seconds < 10 * 14 * 100.0


def test_what_the_command_takes_is_without_the_baseline() -> None:
    assert WHOLE.seconds == 210 * MINUTE
    assert WHOLE.disk_bytes == 180_000_000 + 2 * 6_000_000 + 2 * 24_000_000


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (89, "89 s"),
        (90, "1 min 30 s"),
        (120, "2 min"),
        (597, "10 min"),
        (2100, "35 min"),
        (5300, "88 min"),
        (10200, "2 h 50 min"),
        (3600 * 3 - 20, "3 h"),
        (3600 * 76, "3 days 4 h"),
    ],
)
def test_durations_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_dry_run_says_it_all_and_leaves_nothing(empty_house: House, pictures: Path) -> None:
    answer = kd_ok(*on_pictures(pictures), "--dry-run")
    assert "plan: teacher test_resnet" in answer.out
    assert "student test_efficientnet 3 epochs" in answer.out
    assert "baseline later" in answer.out
    (command,) = [row for row in answer.out.splitlines() if row.startswith("next: kd distill")]
    assert "--dry-run" not in command
    assert not empty_house.path.exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["data.hidden=0.5", "data.subset=0.5"], "data.hidden, data.subset: 21 of 84 training"),
        (["data.subset=[0.5, 0.5]"], "data.subset: 42 of 84 training images (seed 0)"),
        ([], None),
    ],
)
def test_how_many_images_are_left_is_said(
    settings: list[str], said: str | None, empty_house: House, pictures: Path
) -> None:
    sets = [word for setting in settings for word in ("--set", setting)]
    told = kd_ok("train", TEACHER, "--data", pictures, "--dry-run", *sets).err
    assert said in told if said else "of 84 training" not in told


def test_what_the_cache_takes_of_photographs_and_what_not(
    empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ("train", TEACHER, "--data", pictures, "--dry-run", "--set", "data.augment=crop")
    whole = kd_ok(*line)
    assert "of photographs cached" in whole.out
    assert "decoded in each epoch" not in whole.err
    monkeypatch.setenv("KD_CACHE_BYTES", "1000")
    assert "photographs: 1 kB of them" in kd_ok(*line).err


@pytest.mark.parametrize("dry", [("--dry-run",), ()])
def test_images_that_break_off_are_all_named_before_any_training(
    dry: tuple[str, ...], empty_house: House, pictures: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(pictures, tmp_path / "data"))
    source = open_folder(data)
    halves = [data / split.ids[0] for split in (source.validation, source.test)]
    for half in halves:
        half.write_bytes(half.read_bytes()[:60])  # its header is whole
    answer = kd(*on_pictures(data), *dry)
    assert answer.code == 3
    assert "2 of 36 images cannot be read:" in answer.err
    assert all(str(half) in answer.err for half in halves)
    assert "plan:" not in answer.err
    assert not list(empty_house.path.glob("*"))


def test_a_dry_run_as_a_document(empty_house: House, pictures: Path) -> None:
    plan = kd_ok(*on_pictures(pictures), "--dry-run", "--json").document["plan"]
    assert [training["role"] for training in plan["now"]] == ["teacher", "student"]
    assert [training["role"] for training in plan["later"]] == ["baseline"]
    assert plan["seconds"] == pytest.approx(sum(t["seconds"] for t in plan["now"]))
    assert 0 < plan["disk_bytes"] < plan["free_disk_bytes"]
    assert plan["memory_bytes"] > 100_000_000
    assert plan["shorter"] == []
    json.dumps(plan)


def test_what_is_finished_takes_no_time(small: House, pictures: Path) -> None:
    answer = kd_ok(*on_pictures(pictures), "--dry-run")
    assert "nothing to train, it is finished" in answer.out
    (small.student / "model.pt").unlink()
    plan = kd_ok(*on_pictures(pictures), "--dry-run", "--json").document["plan"]
    assert [training["role"] for training in plan["now"]] == ["student"]


def test_the_plan_is_said_before_the_training(empty_house: House, pictures: Path) -> None:
    said = kd_ok(*on_pictures(pictures)).err
    assert said.index("plan: teacher") < said.index("no finished teacher") < said.index("epoch 1/")


def test_only_the_epochs_that_are_left_count(empty_house: House, pictures: Path) -> None:
    job = train_job(Ask("supervised", model="test_resnet", data=str(pictures)), Silent())
    whole = estimate(job.spec, job.source, job.device)
    folder = empty_house.path / job.spec.folder_name
    from kdcli.runs.run import begin

    run = begin(folder, job.spec, asked=True, versions={})
    # of three epochs the state of two was written: from there it goes on
    run.metrics.write_text("".join(json.dumps({"epoch": n}) + "\n" for n in (1, 2, 3)))
    keep(run, Epochs(accuracies=[0.5, 0.6]), {})
    assert foresee(job, Silent()).now[0].epochs == whole.epochs - 2
    assert foresee(job, Silent(), again=True).now[0].epochs == whole.epochs
    assert foresee(job, Silent(), out=empty_house.path / "other").now[0].epochs == whole.epochs


def test_a_disk_that_is_too_small_is_told_before_the_work(
    empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        free = 1000

    monkeypatch.setattr(verb.shutil, "disk_usage", lambda place: Full)
    answer = kd(*on_pictures(pictures))
    assert answer.code == 6
    assert "will be needed" in answer.err
    assert "kd list runs --prune" in answer.err


@pytest.mark.slow
def test_a_long_training_on_a_processor_is_told_what_shortens_it(
    empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every estimate is real, but for the number of its seconds."""

    def slow(spec: Any, *others: Any, **named: Any) -> Estimate:
        size, epochs = int(spec.recipe.data.image_size), int(spec.recipe.train.epochs)
        found = one(role=spec.role, model=spec.model, epochs=epochs)
        return replace(found, seconds=size**2 * epochs * (1 if "18" in spec.model else 4))

    monkeypatch.setattr(verb, "estimate", slow)
    line = ("distill", "--teacher", "resnet50", "--student", "resnet18", "--data", str(pictures))
    answer = kd_ok(*line, "--set=data.image_size=224", "--set=train.epochs=40", "--dry-run")
    lines = answer.out.splitlines()
    shorter = [line.split(" ~ ") for line in lines if line.startswith("shorter: ")]
    assert [what for what, _ in shorter] == [
        "shorter: a smaller model of its kind: --teacher resnet18",
        "shorter: images of 32 pixels (of 8 now, enlarged to 224): --set data.image_size=32",
        "shorter: half the epochs of the student: --set train.epochs=20",
    ]
    assert all(seconds.endswith(" in all") for _, seconds in shorter)
    assert "classifier" not in answer.out, "random weights make no trunk to keep"


@pytest.mark.parametrize(
    ("side", "size", "asked"), [(300, 224, 160), (200, 160, None), (100, 224, 128), (28, 64, 32)]
)
def test_images_are_offered_no_larger_than_they_are(
    side: float, size: int, asked: int | None, pictures: Path
) -> None:
    settings = (f"data.image_size={size}",)
    job = train_job(
        Ask("supervised", model="test_resnet", settings=settings, data=str(pictures)), Silent()
    )
    asks = [one.ask for one in shortcuts(job.spec, job.source, side) if "images" in one.what]
    assert asks == ([f"--set data.image_size={asked}"] if asked else [])


def test_a_pretrained_teacher_may_be_fitted_at_its_head_only(pictures: Path) -> None:
    job = distill_job(
        Ask(
            "kd",
            teachers=("resnet50",),
            student="resnet18",
            settings=("teacher.pretrained=true",),
            data=str(pictures),
        ),
        Silent(),
    )
    found = {shortcut.ask: shortcut.spec for shortcut in shortcuts(job.spec, job.source, 8)}
    head = found["--set teacher.tune=head"].teachers[0].spec
    assert head is not None
    assert head.recipe.train.tune == "head"
    again = distill_job(
        Ask(
            "kd",
            teachers=("resnet50",),
            student="resnet18",
            settings=("teacher.pretrained=true", "teacher.tune=head"),
            data=str(pictures),
        ),
        Silent(),
    )
    assert again.spec.teachers[0].spec == head, "what is promised is what the key does"


def test_weights_out_of_reach_are_told_before_any_step(
    empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    answer = kd(*on_pictures(pictures), "--set", "teacher.pretrained=true", "--dry-run")
    assert answer.code == 3
    assert "NAME=FILE" in answer.err
    assert "teacher.pretrained=false" in answer.err
    assert "a few steps" not in answer.err


def test_nothing_of_a_rehearsal_is_left_in_the_training(pictures: Path, tmp_path: Path) -> None:
    """The generator that everything is seeded from is where it was."""
    import torch

    job = train_job(Ask("supervised", model="test_resnet", data=str(pictures)), Silent())
    torch.manual_seed(5)
    before = torch.get_rng_state()
    foresee(job, Silent(), again=True)
    assert torch.equal(torch.get_rng_state(), before)


def test_distill_is_told_what_it_needs_first() -> None:
    assert kd(*DISTILL[:3], "--dry-run").code == 2


def test_a_shortcut_that_suits_no_one_ends_no_command(
    empty_house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With mixup, the head alone is refused; nobody has asked for it."""
    real = verb.estimate

    def slow(spec: Any, *others: Any, **named: Any) -> Estimate:
        found = real(spec, *others, **named)
        return replace(found, seconds=verb.LONG * found.epochs)

    weights = empty_house.path.parent / "w.pth"
    import torch

    from kdcli.models.build import build
    from kdcli.models.build import plan as model_args

    torch.save(build(model_args("test_resnet", 3, 32, None)).state_dict(), weights)
    monkeypatch.setattr(verb, "estimate", slow)
    line = ("train", f"test_resnet={weights}", "--data", pictures, "--dry-run")
    answer = kd_ok(*line, "--set", "train.mixup=0.2")
    assert "plan: teacher test_resnet" in answer.out
    assert "classifier" not in answer.out
    assert "--set train.tune=head" not in answer.out


def test_another_place_is_another_run(small: House, pictures: Path, tmp_path: Path) -> None:
    """What is finished under runs/ is trained again where --out asks for it, and said so."""
    answer = kd_ok(*on_pictures(pictures), "--dry-run", "--out", tmp_path / "elsewhere")
    assert "student test_efficientnet 3 epochs" in answer.out
    assert kd(*on_pictures(pictures), "--dry-run", "--out", small.teacher).code == 2


def test_with_out_nothing_is_written_where_runs_lie(
    empty_house: House, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only working directory; a teacher that is to be trained lies there, so it is told."""
    monkeypatch.setenv("KD_RUNS", "/proc/kd")
    on = ("--data", pictures, "--set", "train.epochs=1", "--out", tmp_path / "out")
    kd_ok("train", "test_resnet", *on)
    taught = ("distill", "--teacher", "test_resnet", "--student", "test_vit")
    answer = kd(*taught, *on[:-1], tmp_path / "student")
    assert answer.code == 6
    assert "/proc/kd: cannot be written" in answer.err
    assert "a few steps" not in answer.err


@pytest.mark.parametrize(
    ("needed", "free", "written"),
    [
        (8_000_000, 60_000_000, 4_194_304),
        (8_000_000, 4_000_000, 524_288),
        (900_000_000, 10**12, 33_554_432),
        (0, 10**12, 0),
    ],
)
def test_a_trial_of_the_disk_is_no_larger_than_the_job(
    needed: int, free: int, written: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def save(state: dict[str, torch.Tensor], path: Path) -> None:
        sizes.append(state["tried"].nbytes)
        path.touch()

    monkeypatch.setattr(rehearsal, "TRIED_BYTES", 64_000_000)
    monkeypatch.setattr(rehearsal, "save_state", save)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert rehearsal._seconds_per_byte(tmp_path, needed) >= 0
    assert sizes == [written]
    assert list(tmp_path.iterdir()) == []
