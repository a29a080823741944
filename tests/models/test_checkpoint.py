"""model.pt and the resume state: whole, checked, and never executing code."""

import argparse
import io
import os
import pickle
import resource
import warnings
import zipfile
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from kdcli.core.errors import DamagedFile, DiskError, UsageError
from kdcli.models.checkpoint import (
    ModelFile,
    load_model,
    load_state,
    read_weights,
    save_model,
    save_state,
)

FILE = ModelFile(
    model={"name": "test_resnet", "num_classes": 2, "mean": (0.5, 0.5, 0.5)},
    state_dict={"a.weight": torch.arange(1000.0), "n": torch.tensor(3), "h": torch.ones(2).half()},
    classes=("cat", "dög"),
    recipe={"train": {"epochs": 3, "clip": None}, "methods": {}},
    provenance={"seed": 0, "versions": {"timm": "1"}},
)


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, canary):
        self.canary = str(canary)

    def __reduce__(self):
        return os.mkdir, (self.canary,)


def torch_unpickles(raw):
    torch.load(io.BytesIO(raw), weights_only=False)


@pytest.fixture
def place(tmp_path):
    return tmp_path / "model.pt"


def refusal(place, load=load_model):
    with pytest.raises(DamagedFile) as caught:
        load(place)
    assert caught.value.code == 7
    assert caught.value.what.startswith(f"{place}: ")
    assert caught.value.fix
    return str(caught.value)


def test_save_and_load_is_a_round_trip(place):
    save_model(FILE, place)
    found = load_model(place)
    assert list(found.state_dict) == list(FILE.state_dict)
    for key, value in FILE.state_dict.items():
        assert found.state_dict[key].dtype == value.dtype
        assert torch.equal(found.state_dict[key], value)
    assert (found.classes, found.recipe) == (FILE.classes, FILE.recipe)
    assert found.provenance == FILE.provenance
    assert found.model["name"] == "test_resnet"
    assert tuple(found.model["mean"]) == (0.5, 0.5, 0.5)


def test_a_model_file_loads_with_weights_only_and_nothing_else(place):
    save_model(FILE, place)
    raw = torch.load(place, weights_only=True)
    assert raw["kd"] == 1
    assert set(raw) == {"kd", "model", "state_dict", "classes", "recipe", "provenance"}


def test_parameters_are_saved_without_their_graph(place):
    weight = torch.nn.Parameter(torch.ones(3))
    save_model(replace(FILE, state_dict={"w": weight, "v": weight * 2}), place)
    found = load_model(place).state_dict
    assert not any(v.requires_grad for v in found.values())
    assert torch.equal(found["v"], torch.full((3,), 2.0))


@pytest.mark.parametrize("how", ["torch", "pickle", "inside", "state"])
def test_a_file_that_would_run_code_is_refused_and_has_not_run(place, tmp_path, how):
    canary = tmp_path / "canary"
    raw = {"kd": 1, "state_dict": {"w": Bomb(canary)}} if how == "inside" else Bomb(canary)
    if how == "pickle":
        place.write_bytes(pickle.dumps(raw))
    else:
        torch.save(raw, place)
    words = refusal(place, load_state if how == "state" else load_model)
    kind = "a pickle that torch did not write" if how == "pickle" else "it holds more than weights"
    assert f"refused, {kind}" in words
    assert "nothing in it was run" in words
    assert not canary.exists()
    (pickle.loads if how == "pickle" else torch_unpickles)(place.read_bytes())
    assert canary.exists()  # the bomb was a real one


def test_what_unpacks_to_more_than_it_is_is_refused_unread(place):
    save_model(replace(FILE, state_dict={"w": torch.zeros(2**25)}), place)
    with zipfile.ZipFile(place) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in content.items():
            archive.writestr(name, raw)
    assert f"refused, its {place.stat().st_size:,} bytes would unpack to 134," in refusal(place)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(1).expand(2**31),
        torch.empty(2**20, device="meta"),
        torch.sparse_coo_tensor([[0]], [1.0], (2**40,), check_invariants=True),
    ],
    ids=["expanded", "meta", "sparse"],
)
def test_a_tensor_that_claims_more_than_is_there_is_refused(place, tensor):
    torch.save({"kd": 1, "state_dict": {"a": [tensor]}}, place)
    assert place.stat().st_size < 10_000
    assert f"claims {tensor.shape[0]} numbers and has fewer" in refusal(place)


def test_a_whole_module_is_refused_and_named(place):
    torch.save(torch.nn.Linear(2, 2), place)
    assert "torch.nn.modules.linear.Linear" in refusal(place)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5])
def test_a_truncated_file_is_damaged(place, share):
    save_model(FILE, place)
    raw = place.read_bytes()
    place.write_bytes(raw[: int(len(raw) * share)])
    assert "truncated or not a PyTorch file" in refusal(place)


def test_a_file_cut_anywhere_is_damaged(place):
    save_model(FILE, place)
    raw = place.read_bytes()
    for length in range(0, len(raw), 97):
        place.write_bytes(raw[:length])
        refusal(place)


def test_a_flipped_bit_is_damaged(place):
    save_model(FILE, place)
    raw = bytearray(place.read_bytes())
    raw[raw.find(FILE.state_dict["a.weight"].numpy().tobytes()) + 402] ^= 0x40
    place.write_bytes(bytes(raw))
    refusal(place)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello world", b'{"a": 1}', b"PK\x03\x04" + bytes(60), b"\x89PNG\r\n\x1a\n" + bytes(99)],
    ids=["empty", "text", "json", "zip", "png"],
)
def test_what_is_no_pytorch_file_is_damaged(place, content):
    place.write_bytes(content)
    refusal(place)


def test_a_recipe_is_no_model(place):
    place.write_bytes(b"scheme: offline\n")
    refusal(place)


@pytest.mark.parametrize(
    "raw",
    [{"conv1.weight": torch.zeros(2)}, {"state_dict": {}}, torch.zeros(3), [1, 2]],
    ids=["state dict", "checkpoint", "tensor", "list"],
)
def test_a_foreign_file_is_refused_in_words(place, raw):
    torch.save(raw, place)
    words = refusal(place)
    assert "a file of weights, but none that kd wrote (no model name or classes in it)" in words
    assert "give a run folder or the model.pt of a kd run" in words
    assert f"--teacher NAME={place}" in words
    assert f"kd export {place} --model NAME" in words


def test_a_newer_format_says_to_upgrade(place):
    torch.save({"kd": 2, "model": {}}, place)
    words = refusal(place)
    assert "written by a newer kd (format 2, this kd reads 1)" in words
    assert "pip install --upgrade kdcli" in words


@pytest.mark.parametrize("missing", ["model", "state_dict", "classes", "recipe", "provenance"])
def test_an_incomplete_file_names_what_is_missing(place, missing):
    save_model(FILE, place)
    raw = torch.load(place, weights_only=True)
    del raw[missing]
    torch.save(raw, place)
    assert f"incomplete ('{missing}')" in refusal(place)


def test_a_save_that_fails_leaves_the_old_file(place):
    save_model(FILE, place)
    with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
        save_model(replace(FILE, provenance={"x": lambda: 0}), place)
    assert load_model(place).classes == FILE.classes
    assert list(place.parent.iterdir()) == [place]


OLD = {"progress": {"accs": [0.25]}}


def test_a_full_disk_is_a_disk_error(place):
    save_state(OLD, place)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(DiskError):
            save_state({"w": torch.zeros(100_000)}, place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load_state(place) == OLD
    assert list(place.parent.iterdir()) == [place]


def test_the_resume_state_is_a_round_trip(place):
    state = {"model": {"w": torch.randn(3)}, "progress": {"best_nll": float("inf"), "accs": [0.5]}}
    save_state(state, place)
    found = load_state(place)
    assert torch.equal(found["model"]["w"], state["model"]["w"])
    assert found["progress"] == state["progress"]


def test_the_state_before_is_kept_beside_it(place):
    former = place.with_name("state.former.pt")
    for n in range(3):
        save_state({"progress": {"accs": [0.5] * n}}, place, former)
        assert len(load_state(place)["progress"]["accs"]) == n
    assert len(load_state(former)["progress"]["accs"]) == 1


def test_a_state_of_another_format_is_no_damage(place):
    torch.save(OLD | {"format": 2}, place)
    assert "written by a newer kd (format 2, this kd reads 0 to 1)" in refusal(place, load_state)
    torch.save(OLD, place)
    assert load_state(place) == OLD, "of before there were numbers"


def test_no_resume_state_is_none(place):
    assert load_state(place) is None


@pytest.mark.parametrize("raw", [[1], torch.zeros(1)])
def test_a_resume_state_that_is_none(place, raw):
    torch.save(raw, place)
    assert "not a resume state" in refusal(place, load_state)
    assert "delete that file and repeat the command" in refusal(place, load_state)


# Somebody else's ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["w.safetensors", "renamed.pth"])
def test_safetensors_are_known_by_name_or_content(tmp_path, name):
    save_file({"w": torch.arange(3.0)}, tmp_path / name)
    assert torch.equal(read_weights(tmp_path / name)["w"], torch.arange(3.0))
    with pytest.raises(DamagedFile, match="none that kd wrote"):
        load_model(tmp_path / name)


def test_the_flags_in_timms_checkpoints_are_the_one_foreign_class(place):
    torch.save({"state_dict": {"w": torch.ones(2)}, "args": argparse.Namespace(lr=0.1)}, place)
    assert torch.equal(read_weights(place)["state_dict"]["w"], torch.ones(2))
    with pytest.raises(pickle.UnpicklingError):
        torch.load(place, weights_only=True)  # the permission ended with the reading
    with pytest.raises(DamagedFile):
        load_state(place)


@pytest.mark.parametrize("where", ["alone", "beside weights", "in the flags"])
def test_a_bomb_in_foreign_weights_does_not_go_off(place, tmp_path, where):
    canary = tmp_path / "canary"
    bomb = Bomb(canary)
    flags = argparse.Namespace(lr=bomb)
    raw = {
        "alone": bomb,
        "beside weights": {"state_dict": {"w": torch.ones(2)}, "x": bomb},
        "in the flags": {"state_dict": {"w": torch.ones(2)}, "args": flags},
    }[where]
    torch.save(raw, place)
    words = refusal(place, read_weights)
    assert "nothing in it was run" in words
    assert not canary.exists()
    torch_unpickles(place.read_bytes())
    assert canary.exists()


def test_a_whole_module_is_refused_and_its_state_dict_asked_for(place):
    torch.save(torch.nn.Linear(2, 2), place)
    words = refusal(place, read_weights)
    assert "it holds code; ask its maker for its state_dict" in words
    assert "torch.save(model.state_dict(), FILE)" in words


def test_a_torchscript_program_is_refused_without_torchs_own_words(place):
    torch.jit.script(torch.nn.Linear(2, 2)).save(place)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        words = refusal(place, read_weights)
    assert "a TorchScript file holds a program" in words


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_plain_pickle_is_called_what_it_is(place, protocol):
    place.write_bytes(pickle.dumps({"w": [1.0]}, protocol))
    words = refusal(place, read_weights)
    assert "a pickle that torch did not write; nothing in it was run" in words
    assert "holds code" not in words
    assert "torch.save(model.state_dict(), FILE)" in words


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("protocol", [2, 3])
def test_torchs_older_format_is_read(place, protocol):
    state = {"w": torch.ones(2)}
    old = {"_use_new_zipfile_serialization": False, "pickle_protocol": protocol}
    torch.save(state, place, **old)
    assert torch.equal(read_weights(place)["w"], state["w"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"hello there\n" * 4, "not a PyTorch file"),
        (b"\xff\0\0\0\0\0\0\0{", "not a safetensors file"),
    ],
    ids=["empty", "text", "cut short"],
)
def test_no_weights_at_all(place, content, words):
    place.write_bytes(content)
    assert words in refusal(place, read_weights)


def test_weights_that_are_not_there(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_weights(tmp_path / "nothing.pth")
    with pytest.raises(UsageError, match="a folder"):
        read_weights(tmp_path)


def test_a_disk_that_takes_no_more_is_told_in_the_systems_words(tmp_path):
    """torch.save's own are a line of its source."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    (tmp_path / "state.pt").write_bytes(b"earlier")
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(DiskError) as caught:
            save_state({"weights": torch.zeros(1_000_000)}, tmp_path / "state.pt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "cannot be written (File too large)" in caught.value.what
    assert "enforce" not in str(caught.value)
    assert (tmp_path / "state.pt").read_bytes() == b"earlier"
    assert [file.name for file in tmp_path.iterdir()] == ["state.pt"]
