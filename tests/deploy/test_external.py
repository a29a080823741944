"""Weights beside an ONNX file: kd's own sidecar, and what somebody else's file may point to."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from house import House, kd, kd_ok
from torch import nn

from kdcli.core.errors import DamagedFile, ParityError, UsageError
from kdcli.core.files import atomic_pair
from kdcli.deploy.onnx_file import external
from kdcli.deploy.onnx_file.external import sidecar, size
from kdcli.deploy.onnx_file.read import describe, load, load_whole
from kdcli.deploy.onnx_file.session import open_session
from kdcli.deploy.onnx_file.write import export_onnx, write
from kdcli.runs.run import Run

WEIGHTS = 4 * 3 * 8 * 8 * 16
"""Bytes of the linear layer below."""


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "LIMIT", 2000)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 16)).eval()


@pytest.fixture
def split(network: nn.Module, tmp_path: Path, small_limit: None) -> Path:
    """An ONNX file with a sidecar."""
    export_onnx(network, tmp_path / "model.onnx", input_size=(8, 8))
    return tmp_path / "model.onnx"


def pointing(path: Path, **said: str | int) -> None:
    """The tensor that lies outside says this of itself."""
    proto = onnx.load_model(path, load_external_data=False)
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            entry.value = str(said.get(entry.key, entry.value))
    path.write_bytes(proto.SerializeToString())


# A sidecar of kd's ------------------------------------------------------------------------------


def test_what_one_file_cannot_hold_lies_beside_it(split: Path, network: nn.Module) -> None:
    assert sorted(f.name for f in split.parent.iterdir()) == ["model.onnx", "model.onnx.data"]
    locations = {
        entry.value
        for tensor in load(split).graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    assert locations == {"model.onnx.data"}
    assert size(split) == sum(f.stat().st_size for f in split.parent.iterdir()) > WEIGHTS
    images = np.random.default_rng(0).normal(size=(7, 3, 8, 8)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(open_session(split)(images), expected, atol=1e-5)


def test_below_the_limit_it_is_one_file(network: nn.Module, tmp_path: Path) -> None:
    export_onnx(network, tmp_path / "model.onnx", input_size=(8, 8))
    assert [f.name for f in tmp_path.iterdir()] == ["model.onnx"]
    assert size(tmp_path / "model.onnx") == (tmp_path / "model.onnx").stat().st_size


def test_a_file_with_a_sidecar_is_described_without_reading_it(split: Path) -> None:
    found = describe(split)
    assert found.parameters >= 3 * 8 * 8 * 16 + 16
    assert found.outputs[0].shape == ("batch", 16)


def test_a_whole_model_is_written_again_as_one_file(
    split: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    write(load_whole(split), tmp_path / "one.onnx", {"kd.model": "linear"})
    assert not sidecar(tmp_path / "one.onnx").exists()
    sidecar(split).unlink()
    images = np.ones((1, 3, 8, 8), np.float32)
    assert np.isfinite(open_session(tmp_path / "one.onnx")(images)).all()


def test_no_other_opset_above_the_limit(
    network: nn.Module, tmp_path: Path, small_limit: None
) -> None:
    with pytest.raises(UsageError, match="more than 2 GB"):
        export_onnx(network, tmp_path / "model.onnx", input_size=(8, 8), opset=18)
    assert not list(tmp_path.iterdir())


# Both or none -----------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "model.onnx", tmp_path / "model.onnx.data"


def contents(folder: Path) -> dict[str, str]:
    return {f.name: f.read_text() for f in folder.iterdir()}


def test_both_appear_together(pair: tuple[Path, Path]) -> None:
    with atomic_pair(*pair) as beside:
        beside.write_text("model")
        beside.with_name("model.onnx.data").write_text("weights")
        assert not any(file.exists() for file in pair)
    assert contents(pair[0].parent) == {"model.onnx": "model", "model.onnx.data": "weights"}


def test_none_appears_where_something_fails(pair: tuple[Path, Path]) -> None:
    for file in pair:
        file.write_text("older")

    def make() -> None:
        with atomic_pair(*pair) as beside:
            beside.write_text("model")
            beside.with_name("model.onnx.data").write_text("weights")
            raise ParityError("disagrees")

    with pytest.raises(ParityError):
        make()
    assert contents(pair[0].parent) == {"model.onnx": "older", "model.onnx.data": "older"}


def test_an_older_companion_goes(pair: tuple[Path, Path]) -> None:
    for file in pair:
        file.write_text("older")
    with atomic_pair(*pair) as beside:
        beside.write_text("model")
    assert contents(pair[0].parent) == {"model.onnx": "model"}


def test_no_model_ever_stands_beside_anothers_weights(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after any of its steps."""
    for file in pair:
        file.write_text("older")
    replace, seen = Path.replace, []

    def watched(self: Path, target: Path) -> Path:
        seen.append({f.name: f.read_text() for f in pair if f.exists()})
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    with atomic_pair(*pair) as beside:
        beside.write_text("new")
        beside.with_name("model.onnx.data").write_text("new")
    assert seen == [{}, {"model.onnx.data": "new"}]


# What somebody else's file may point to ----------------------------------------------------------


@pytest.mark.parametrize(
    "location", ["/etc/hostname", "../weights", "a/../../weights", "C:\\weights", "..\\weights"]
)
def test_weights_outside_the_folder_are_refused(split: Path, location: str) -> None:
    pointing(split, location=location)
    refused(split, "outside its folder")


def to_a_link(split: Path) -> None:
    sidecar(split).rename(split.with_name("real"))
    sidecar(split).symlink_to("real")


def to_a_link_out(split: Path) -> None:
    sidecar(split).unlink()
    sidecar(split).symlink_to("/etc/hostname")


def to_a_link_on_the_way(split: Path) -> None:
    (split.parent / "real").mkdir()
    sidecar(split).rename(split.parent / "real" / "weights")
    (split.parent / "there").symlink_to("real")
    pointing(split, location="there/weights")


def to_a_folder(split: Path) -> None:
    sidecar(split).unlink()
    sidecar(split).mkdir()


def to_a_pipe(split: Path) -> None:
    sidecar(split).unlink()
    os.mkfifo(sidecar(split))


def to_nothing(split: Path) -> None:
    sidecar(split).unlink()


def to_too_little(split: Path) -> None:
    sidecar(split).write_bytes(sidecar(split).read_bytes()[:-1])


def said_twice(split: Path) -> None:
    proto = onnx.load_model(split, load_external_data=False)
    (tensor,) = [t for t in proto.graph.initializer if t.external_data]
    tensor.external_data.add(key="location", value="/etc/hostname")
    split.write_bytes(proto.SerializeToString())


WRONG: dict[Callable[[Path], None], str] = {
    to_a_link: "behind a link",
    to_a_link_out: "behind a link",
    to_a_link_on_the_way: "behind a link",
    to_a_folder: "what is no file",
    to_a_pipe: "what is no file",
    to_nothing: "lacks its weights",
    to_too_little: "end behind them",
    said_twice: "says twice",
    partial(pointing, offset=10**9): "end behind them",
    partial(pointing, offset=-4): "end behind them",
    partial(pointing, length=8): "which needs",
    partial(pointing, offset="?"): "does not say where",
    partial(pointing, location=""): "what is no file",
    partial(pointing, location="."): "what is no file",
}


@pytest.mark.parametrize(
    ("spoil", "words"),
    WRONG.items(),
    ids=[f"{n}-{words}" for n, words in enumerate(WRONG.values())],
)
def test_weights_that_are_not_there_or_not_plain(
    spoil: Callable[[Path], None], words: str, split: Path
) -> None:
    spoil(split)
    refused(split, words)


def refused(path: Path, words: str) -> None:
    for read in (load, describe, open_session):
        with pytest.raises(DamagedFile, match=words) as caught:
            read(path)
        assert str(path) in caught.value.what
    answer = kd("inspect", path)
    assert answer.code == 7
    assert words in answer.err


def test_nothing_of_it_is_opened(split: Path) -> None:
    to_a_link(split)
    os.utime(split.with_name("real"), ns=(1, 1))
    refused(split, "behind a link")
    assert split.with_name("real").stat().st_atime_ns == 1


def test_weights_outside_are_found_inside_attributes_and_functions(split: Path) -> None:
    tensor = onnx.helper.make_tensor("value", onnx.TensorProto.FLOAT, [1], bytes(4), raw=True)
    onnx.external_data_helper.set_external_data(tensor, "../weights")
    node = onnx.helper.make_node("Constant", [], ["y"], value=tensor)
    proto = onnx.load_model(split, load_external_data=False)
    opsets = list(proto.opset_import)
    proto.functions.append(onnx.helper.make_function("local", "f", [], ["y"], [node], opsets))
    split.write_bytes(proto.SerializeToString())
    refused(split, "outside its folder")


def test_custom_operators_are_refused_before_onnxruntime_sees_them(split: Path) -> None:
    proto = onnx.load_model(split)
    proto.graph.node[0].domain = "com.example"
    split.write_bytes(proto.SerializeToString())
    with pytest.raises(DamagedFile, match=r"needs custom operators, com\.example\."):
        open_session(split)
    assert describe(split).nodes, "it can be looked at"


# The command -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_limit")
def test_export_with_a_sidecar(distilled: House, monkeypatch: pytest.MonkeyPatch) -> None:
    report = kd_ok("export", distilled.student, "--json").document
    folder = distilled.student / "export"
    names = {f.name: f.stat().st_size for f in folder.iterdir()}
    assert {"model.onnx", "model.onnx.data"} <= names.keys()
    (entry,) = report["exports"]
    assert entry["bytes"] == names["model.onnx"] + names["model.onnx.data"]
    assert report["models"]["student"]["file_bytes"] == entry["bytes"]
    kd_ok("inspect", folder / "model.onnx")
    monkeypatch.setattr(external, "LIMIT", 2**31)
    kd_ok("export", distilled.student)
    assert "model.onnx.data" not in {f.name for f in folder.iterdir()}


def test_a_run_that_is_trained_again_loses_its_sidecar_too(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.exports.mkdir()
    for name in ("model.onnx", "model.onnx.data", "model.int8.onnx.data", "mine.data"):
        (run.exports / name).touch()
    run.clear_exports()
    assert [f.name for f in run.exports.iterdir()] == ["mine.data"]
