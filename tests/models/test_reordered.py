"""A model.pt of kd put in the order of other data's classes answers the same, in that order."""

from dataclasses import replace

import pytest
import torch

from kdcli.core.errors import UnfitTeacher
from kdcli.core.progress import Silent
from kdcli.models.build import build, plan, seeded
from kdcli.models.checkpoint import ModelFile, save_model
from kdcli.models.loading import load
from kdcli.models.reordered import in_order

MADE = ("zero", "one", "two", "three")
DATA = ("one", "three", "two", "zero")
ARGS = plan("test_resnet", 4, 32, None)


@pytest.mark.parametrize(
    "args",
    [
        ARGS,
        replace(ARGS, heads=3),
        replace(ARGS, copies=2, aggregate="logits"),
        replace(ARGS, exit=1, maps=((32, 8, 8), (96, 1, 1))),
        replace(
            ARGS,
            peers=(plan("test_efficientnet", 4, 32, None),),
            maps=((96, 1, 1), (64, 1, 1)),
        ),
        plan("test_vit", 4, 160, None),
    ],
    ids=["one", "heads", "copies", "exit", "fused", "vit"],
)
def test_the_same_answers_in_the_datas_order(args, empty_house, tmp_path):
    with seeded(0, "here"):
        module = build(args)
    path = tmp_path / "model.pt"
    save_model(ModelFile(args.as_dict(), module.state_dict(), MADE, {}, {"digest": "d"}), path)
    place = in_order(path, DATA, "data", Silent())
    before, after = load(path), load(place)
    assert after.file.classes == DATA
    assert after.file.provenance == {"digest": "d"}, "whoever knows it by that knows it still"
    images = torch.rand(2, 3, args.input_size, args.input_size)
    with torch.no_grad():
        wanted, found = (one.module(images).reshape(2, -1, 4) for one in (before, after))
    torch.testing.assert_close(found, wanted[..., [MADE.index(name) for name in DATA]])
    assert in_order(path, DATA, "data", Silent()) == place
    assert in_order(path, MADE, "data", Silent()) == path
    with pytest.raises(UnfitTeacher, match="its class 0 is 'zero', that of the data is 'a'"):
        in_order(path, ("a", "b", "c", "d"), "data", Silent())
