"""`kd distill` without a teacher: networks that learn together, and what their run keeps."""

from pathlib import Path

import pytest
from house import House, kd, kd_ok, same_weights, weights_of

from kdcli import training
from kdcli.checkpoint import load_model
from kdcli.runs import Run

MUTUAL = ("distill", "--student", "test_resnet", "--recipe", "mutual", "--set", "train.epochs=2")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setenv("KD_RUNS", str(tmp_path))
    return House(tmp_path)


def test_the_best_network_ships_and_the_others_are_kept(here: House) -> None:
    kd_ok(*MUTUAL)
    run = Run(here.run("mutual-test_resnet"))
    assert run.spec.peers == ("test_resnet",)
    outcome = run.outcome()
    last = next(line for line in run.lines() if line.get("epoch") == outcome["best_epoch"])
    assert outcome["val_accuracy"] == max(last["val_accuracy_of"].values())
    (other,) = run.others()
    assert other == {"student": "peer_1", "peer.1": "peer_0"}[outcome["ships"]]
    assert not same_weights(run.model, run.others()[other])
    shipped, kept = (load_model(path).provenance for path in (run.model, run.others()[other]))
    assert (shipped["role"], kept["role"]) == ("student", "peer")
    assert shipped["val_accuracy"] == outcome["val_accuracy"]
    name = {"peer_1": "peer.1", "peer_0": "student"}[other]
    assert kept["val_accuracy"] == last["val_accuracy_of"][name]


def test_another_architecture_learns_along_but_never_ships(here: House) -> None:
    kd_ok(*MUTUAL, "--peer", "test_efficientnet")
    run = Run(here.run("mutual-test_efficientnet-test_resnet"))
    assert run.outcome()["ships"] == "student"
    assert "val_accuracy_of" not in run.lines()[0]
    assert "conv_stem.weight" in weights_of(run.others()["peer_1"])
    assert load_model(run.others()["peer_1"]).provenance["val_accuracy"] is None


def test_the_same_command_goes_on_bit_for_bit(
    here: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kd_ok(*MUTUAL, "--out", tmp_path / "straight")
    with monkeypatch.context() as patch:
        patch.setattr(training, "keep", _then_stop(training.keep))
        assert kd(*MUTUAL, "--out", tmp_path / "broken").code == 130
    kd_ok(*MUTUAL, "--out", tmp_path / "broken")
    straight, broken = Run(tmp_path / "straight"), Run(tmp_path / "broken")
    assert straight.outcome()["ships"] == broken.outcome()["ships"]
    assert same_weights(straight.model, broken.model)
    assert straight.others().keys() == broken.others().keys()
    for name, file in straight.others().items():
        assert same_weights(file, broken.others()[name])


def _then_stop(keep):  # type: ignore[no-untyped-def]
    def stop(*arguments: object) -> None:
        keep(*arguments)
        raise KeyboardInterrupt

    return stop


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
    ],
)
def test_what_cannot_be_meant_is_refused(here: House, command: tuple[str, ...], words: str) -> None:
    answer = kd(*command)
    assert answer.code == 2
    assert words in " ".join(answer.err.split())
    assert not here.runs()
