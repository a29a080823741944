"""Weights that are taken as they are: with their own classes, fed their own size."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from house import House

from kdcli.core.errors import UsageError
from kdcli.core.progress import Silent
from kdcli.models import untuned
from kdcli.models.build import build
from kdcli.models.checkpoint import load_model
from kdcli.models.given import parse
from kdcli.models.loading import load
from kdcli.models.untuned import given_as_it_is, timm_as_it_is
from kdcli.runs.spec import DataRef

DATA = DataRef(name="photos", location=None, identity={"files": "0a"})
CLASSES = ("cat", "cow", "dog")


def saved(folder: Path, classes: int) -> Path:
    """A state dict as anybody's training leaves it; 0: without a classifier."""
    file = folder / f"of_{classes}.pth"
    torch.save(timm.create_model("test_resnet", num_classes=classes).state_dict(), file)
    return file


def taken(
    file: Path, labels: tuple[str, ...] | None = None, size: int | None = None
) -> Path | None:
    given = parse(f"test_resnet={file}", Silent())
    return given_as_it_is(given, size, CLASSES, DATA, labels, Silent())


@pytest.mark.parametrize("count", [0, 7])
def test_other_classes_are_kept_and_none_are_made(
    count: int, empty_house: House, tmp_path: Path
) -> None:
    file = saved(tmp_path, count)
    place = taken(file)
    assert place is not None
    found = load(place)
    assert found.file.classes == tuple(map(str, range(count)))
    assert found.args.input_size == 160, "timm's own, whatever that of the images"
    assert taken(file) == place, "adopted before"
    smaller = taken(file, size=64)
    assert smaller is not None
    assert load(smaller).args.input_size == 64


def test_as_many_that_nobody_names_are_the_datas(empty_house: House, tmp_path: Path) -> None:
    file = saved(tmp_path, 3)
    assert taken(file) is None
    assert taken(file, ("dog", "cow", "cat")) is None, "they will be put in order"
    other = taken(file, ("dog", "cow", "hen"))
    assert other is not None
    assert load_model(other).classes == ("dog", "cow", "hen")


def test_timms_weights_become_a_model_of_its_thousand_classes(
    empty_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def untrained(args: Any, pretrained: bool) -> Any:
        asked.append(pretrained)
        return build(args)

    monkeypatch.setattr(untuned, "ensure_reachable", lambda name: None)
    monkeypatch.setattr(untuned, "build", untrained)
    place = timm_as_it_is("test_resnet", None, CLASSES, DATA, Silent())
    assert timm_as_it_is("test_resnet", None, CLASSES, DATA, Silent()) == place
    assert asked == [True], "once"
    file = load_model(place)
    assert file.classes == tuple(map(str, range(1000)))
    assert file.provenance["given"] == "test_resnet.r160_in1k"
    thousand = tuple(f"class {i}" for i in range(1000))
    assert (
        load_model(timm_as_it_is("test_resnet", None, thousand, DATA, Silent())).classes == thousand
    )


def test_a_name_without_weights_is_an_untrained_network() -> None:
    name = next(n for n in timm.list_models("vit_*") if not timm.list_pretrained(f"{n}*"))
    with pytest.raises(UsageError, match="untrained network") as caught:
        timm_as_it_is(name, None, CLASSES, DATA, Silent())
    assert "teacher.tune=all" in caught.value.fix
