"""`kd distill` without a teacher: networks that learn together, and what their run keeps."""

from pathlib import Path

import pytest
import torch
from house import House, kd, kd_ok, same_weights, then_stop, weights_of

from kdcli.commands.distill import distill_job
from kdcli.core.errors import UsageError
from kdcli.core.progress import Silent
from kdcli.models.build import build, plan, seeded
from kdcli.models.checkpoint import load_model
from kdcli.plan.ask import Ask
from kdcli.runs.run import Run
from kdcli.training import ensure, loop
from kdcli.training.build import assemble

MUTUAL = ("distill", "--student", "test_resnet", "--recipe", "mutual", "--set", "train.epochs=2")


@pytest.fixture
def mutual(pictures: Path) -> tuple[str, ...]:
    return (*MUTUAL, "--data", str(pictures))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setenv("KD_RUNS", str(tmp_path))
    return House(tmp_path)


def test_the_best_network_ships_and_the_others_are_kept(
    here: House, mutual: tuple[str, ...]
) -> None:
    said = " ".join(kd_ok(*mutual).out.split())
    run = Run(here.run("mutual-test_resnet"))
    assert run.spec.peers == ("test_resnet",)
    outcome = run.outcome()
    last = next(line for line in run.lines() if line.get("epoch") == outcome["best_epoch"])
    assert outcome["val_accuracy"] == max(last["val_accuracy_of"].values())
    (other,) = run.others()
    assert other == {"student": "peer_1", "peer.1": "peer_0"}[outcome["ships"]]
    assert not same_weights(run.model, run.others()[other])
    assert f"ships: {outcome['ships']}, the best of 2 networks on validation" in said
    assert f"beside it: {other} (kd export {run.path} --which {other})" in said
    assert kd_ok(*mutual, "--json").document["others"] == {other: str(run.others()[other])}
    shipped, kept = (load_model(path).provenance for path in (run.model, run.others()[other]))
    assert (shipped["role"], kept["role"]) == ("student", "peer")
    assert shipped["val_accuracy"] == outcome["val_accuracy"]
    name = {"peer_1": "peer.1", "peer_0": "student"}[other]
    assert kept["val_accuracy"] == last["val_accuracy_of"][name]


def test_another_architecture_learns_along_but_never_ships(
    here: House, mutual: tuple[str, ...]
) -> None:
    kd_ok(*mutual, "--peer", "test_efficientnet")
    run = Run(here.run("mutual-test_resnet_with_test_efficientnet"))
    assert run.outcome()["ships"] == "student"
    assert "val_accuracy_of" not in run.lines()[0]
    assert "conv_stem.weight" in weights_of(run.others()["peer_1"])
    assert load_model(run.others()["peer_1"]).provenance["val_accuracy"] is None


@pytest.mark.slow
def test_the_same_command_goes_on_bit_for_bit(
    here: House, mutual: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kd_ok(*mutual, "--out", tmp_path / "straight")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "keep", then_stop(loop.keep))
        assert kd(*mutual, "--out", tmp_path / "broken").code == 130
    kd_ok(*mutual, "--out", tmp_path / "broken")
    straight, broken = Run(tmp_path / "straight"), Run(tmp_path / "broken")
    assert straight.outcome()["ships"] == broken.outcome()["ships"]
    assert same_weights(straight.model, broken.model)
    assert straight.others().keys() == broken.others().keys()
    for name, file in straight.others().items():
        assert same_weights(file, broken.others()[name])


@pytest.mark.parametrize(("classes", "twins"), [(3, False), (10, True)])
def test_copies_of_a_given_student_begin_as_it_does(
    here: House, tmp_path: Path, classes: int, twins: bool
) -> None:
    file = tmp_path / "given.pth"
    with seeded(7, "given"):
        torch.save(build(plan("test_resnet", classes, 32, None)).state_dict(), file)
    job = distill_job(Ask("mutual", student=f"test_resnet={file}"), Silent())
    if twins:
        with pytest.raises(UsageError, match="they would never part"):
            assemble(job.spec, job.site(Silent()), [], rehearsal=True)
        return
    made = assemble(job.spec, job.site(Silent()), [], rehearsal=True)
    one, other = (tap.state_dict() for tap in made.distiller.learners.values())
    assert [key for key in one if not torch.equal(one[key], other[key])] == [
        "module.fc.weight",
        "module.fc.bias",
    ]


def test_weights_of_pretrained_peers_have_to_be_within_reach(
    here: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrained, asked = ("train.epochs=1", "student.pretrained=true"), []
    job = distill_job(
        Ask("mutual", student="test_resnet", peers=("test_vit",), settings=pretrained), Silent()
    )
    monkeypatch.setattr(ensure, "ensure_reachable", asked.append)
    ensure.reach_weights(job.spec)
    assert asked == ["test_resnet", "test_vit"]


def test_the_plan_names_everyone_who_learns(here: House) -> None:
    wanted = (*MUTUAL, "--peer", "test_vit", "--set", "scheme.peers=4", "--dry-run")
    plan = " ".join(kd_ok(*wanted).out.split())
    assert "student test_resnet with test_vit and 2 x test_resnet 2 epochs" in plan


def test_a_teacher_that_nobody_needs_is_told_of_before_it_is_trained(here: House) -> None:
    unread = ("--set", "teacher.checkpoints.count=7")
    job = (*MUTUAL, "--teacher", "test_efficientnet", *unread, "--peer", "vgg11", "--dry-run")
    said = " ".join(kd(*job, "--device", "meta").err.split())
    assert "scheme mutual needs no teacher: test_efficientnet is only compared with" in said
    assert "teacher.checkpoints.count=7: nobody reads it" in said


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("distill", "--recipe", "mutual"), "--student is missing"),
        (("distill", "--student", "test_resnet"), "--teacher is missing"),
        (("train", "test_resnet", "--recipe", "mutual"), "makes a student"),
        ((*MUTUAL, "--peer", "test_resnetx"), "unknown model 'test_resnetx'"),
        ((*MUTUAL, "--set", "train.tune=head"), "nobody else would have a say"),
        (
            ("distill", "--teacher", "test_resnet", "--student", "test_resnet", "--peer", "vgg11"),
            "scheme offline has no peers",
        ),
        (("distill", "--student", "test_resnet", "--peer", "vgg11"), "scheme offline has no peers"),
        (
            ("distill", "--student", "test_resnet", "--recipe", "at"),
            "kd distill --teacher resnet101 --student test_resnet --recipe at",
        ),
        (
            (*MUTUAL, "--peer", "test_vit", "--peer", "vgg11", "--set", "scheme.peers=2"),
            "scheme.peers=2 (--set): the student and 2 named by --peer are 3 networks",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(here: House, command: tuple[str, ...], words: str) -> None:
    answer = kd(*command)
    assert answer.code == 2
    assert words in " ".join(answer.err.split())
    assert not here.runs()
