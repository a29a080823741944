"""What the shell is offered."""

from house import House

from kdcli.cli.completion import models, things


def test_models_and_runs_can_be_inspected(distilled: House) -> None:
    assert "mobilenetv3_small_100" in things("mobilenetv3_s")
    assert sorted(things(str(distilled.path))) == sorted(map(str, distilled.runs()))
    assert set(models("res")) <= set(things("res"))
    assert things("nothing begins so") == []


def test_small_models_are_offered() -> None:
    assert "mobilenetv4_conv_small_050" in models("mobilenetv4")
    assert "resnet101" in models("resnet")
