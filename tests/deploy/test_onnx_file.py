import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from torch import nn

from kdcli.core.errors import DamagedFile, ParityError, UsageError
from kdcli.deploy.onnx_file import session
from kdcli.deploy.onnx_file.read import Port, describe, opset
from kdcli.deploy.onnx_file.session import open_session
from kdcli.deploy.onnx_file.write import export_onnx
from kdcli.deploy.parity import Parity, agrees, compare

METADATA = {"classes": '["cat", "dog"]', "mean": "0.5,0.5,0.5", "unicode": "größer"}
MODELS = {"test_resnet": {}, "test_efficientnet": {}, "test_vit": {"img_size": 32}}


def read_metadata(path: Path) -> dict[str, str]:
    """As whoever uses the file would read them."""
    found: dict[str, str] = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    return found


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    """(module, path) of one of timm's tiny models with random weights."""
    torch.manual_seed(0)
    module = timm.create_model(request.param, num_classes=10, **MODELS[request.param])
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(module, path, input_size=(32, 32), metadata=METADATA)
    return module, path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A file of one convolution, quick to make."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    path = tmp_path_factory.mktemp("small") / "model.onnx"
    export_onnx(module, path, input_size=(8, 8), metadata=METADATA)
    return path


def images_of(batch, size=32):
    return np.random.default_rng(batch).normal(size=(batch, 3, size, size)).astype(np.float32)


def answers(module, images):
    with torch.no_grad():
        return module.eval()(torch.from_numpy(images)).numpy()


def rewritten(source, path, change):
    """A copy of an ONNX file with `change` applied to its model."""
    proto = onnx.load_model(source)
    change(proto)
    path.write_bytes(proto.SerializeToString())
    return path


# Writing ---------------------------------------------------------------------------------------


def test_agrees_with_pytorch_at_any_batch_size(exported):
    module, path = exported
    session = open_session(path)
    for batch in (1, 3, 7):
        images = images_of(batch)
        parity = compare(answers(module, images), session(images))
        assert agrees(parity)
        assert parity.images == batch


def test_names_and_a_symbolic_batch(exported):
    _, path = exported
    graph = onnx.load_model(path).graph
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert shapes == {"images": ["batch", 3, 32, 32], "logits": ["batch", 10]}


def test_one_file_with_its_metadata(exported):
    _, path = exported
    assert [entry.name for entry in path.parent.iterdir()] == ["model.onnx"]
    assert read_metadata(path) == METADATA
    assert opset(path) >= 18


def test_no_folder_of_this_machine_is_written(exported):
    _, path = exported
    assert b"site-packages" not in path.read_bytes()


def test_dropout_is_off(tmp_path):
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(48, 3)).train()
    export_onnx(module, tmp_path / "m.onnx", input_size=(4, 4), metadata={})
    images = images_of(5, size=4)
    assert agrees(compare(answers(module, images), open_session(tmp_path / "m.onnx")(images)))


def test_nothing_is_printed(tmp_path, capfd):
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    export_onnx(module, tmp_path / "m.onnx", input_size=(4, 4), metadata={})
    assert capfd.readouterr() == ("", "")
    assert logging.root.manager.disable == logging.NOTSET


class TakesBatchOfTwo(nn.Module):
    def forward(self, x):
        return x.reshape(2, 48)


@pytest.mark.parametrize("before", [None, b"the old file"])
def test_a_failed_export_leaves_the_folder_as_it_was(tmp_path, before):
    path = tmp_path / "model.onnx"
    if before:
        path.write_bytes(before)
    with pytest.raises(UsageError, match="batch size"):
        export_onnx(TakesBatchOfTwo(), path, input_size=(4, 4), metadata={})
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == ([before] if before else [])


# Reading ---------------------------------------------------------------------------------------


def test_a_missing_file(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        open_session(tmp_path / "model.onnx")


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(small, tmp_path, keep):
    content = small.read_bytes()
    path = tmp_path / "model.onnx"
    path.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    with pytest.raises(DamagedFile, match=r"model\.onnx"):
        open_session(path)


def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("certainly not a protobuf " * 40)
    for read in (open_session, opset):
        with pytest.raises(DamagedFile):
            read(path)


def test_a_model_that_onnxruntime_cannot_run_is_refused(small, tmp_path):
    def unknown_operator(proto):
        proto.graph.node[0].op_type = "NoSuchOperator"

    path = rewritten(small, tmp_path / "model.onnx", unknown_operator)
    with pytest.raises(DamagedFile, match="cannot run"):
        open_session(path)


def test_reading_and_running_need_no_torch(small):
    program = (
        "import sys, pathlib, numpy as np\n"
        "from kdcli.deploy.onnx_file.session import open_session\n"
        f"path = pathlib.Path({str(small)!r})\n"
        "open_session(path)(np.zeros((1, 3, 8, 8), np.float32))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# Comparing -------------------------------------------------------------------------------------


def test_compare_by_hand():
    expected = np.array([[0.0, 1.0], [2.0, 1.0], [0.0, 0.0005]], dtype=np.float32)
    actual = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 0.0]], dtype=np.float32)
    assert compare(expected, actual) == Parity(max_abs=2.0, top1_changed=1, images=3)


def test_a_near_tie_may_fall_either_way():
    expected = np.array([[0.0, 0.0005]], dtype=np.float32)
    parity = compare(expected, expected[:, ::-1])
    assert parity.top1_changed == 0
    assert agrees(parity)


@pytest.mark.parametrize(
    ("parity", "expected"),
    [
        (Parity(1e-3, 0, 5), True),
        (Parity(1.1e-3, 0, 5), False),
        (Parity(1e-4, 1, 5), False),
        (Parity(float("inf"), 0, 5), False),
    ],
)
def test_agrees(parity, expected):
    assert agrees(parity) is expected


def test_not_a_number_never_agrees():
    expected = np.zeros((2, 3), dtype=np.float32)
    assert not agrees(compare(expected, np.full_like(expected, np.nan)))


def test_another_number_of_classes_is_refused():
    with pytest.raises(ParityError, match="shape"):
        compare(np.zeros((2, 3), dtype=np.float32), np.zeros((2, 4), dtype=np.float32))


def test_a_tampered_file_does_not_agree(exported, tmp_path):
    module, path = exported

    def tamper(proto):
        head = next(tensor for tensor in proto.graph.initializer if 10 in tensor.dims)
        stronger = onnx.numpy_helper.to_array(head) * np.float32(1.5)
        head.CopyFrom(onnx.numpy_helper.from_array(stronger, head.name))

    images = images_of(7)
    actual = open_session(rewritten(path, tmp_path / "model.onnx", tamper))(images)
    assert not agrees(compare(answers(module, images), actual))


# Describing --------------------------------------------------------------------------------------


def test_a_file_says_what_it_takes_and_gives(small):
    found = describe(small)
    assert found.inputs == (Port("images", "float32", ("batch", 3, 8, 8)),)
    assert found.outputs == (Port("logits", "float32", ("batch", 4)),)
    assert found.metadata == METADATA
    assert found.parameters >= 4 * 3 * 9 + 4
    assert found.opset == opset(small)
    assert found.producer.startswith("pytorch")


def test_a_foreign_file_is_described_as_far_as_it_goes(tmp_path):
    """A constant among the inputs as old files have it, a sequence, and an unknown shape."""
    floats = onnx.TensorProto.FLOAT
    weight = onnx.helper.make_tensor("w", floats, [2], [1.0, 2.0])
    inputs = [
        onnx.helper.make_tensor_value_info("x", floats, [None, 2]),
        onnx.helper.make_tensor_value_info("w", floats, [2]),
        onnx.helper.make_tensor_sequence_value_info("s", floats, None),
    ]
    output = onnx.helper.make_tensor_value_info("y", floats, None)
    node = onnx.helper.make_node("Add", ["x", "w"], ["y"])
    graph = onnx.helper.make_graph([node], "g", inputs, [output], initializer=[weight])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "foreign.onnx")
    found = describe(tmp_path / "foreign.onnx")
    assert [port.name for port in found.inputs] == ["x", "s"]
    assert found.inputs[0] == Port("x", "float32", ("?", 2))
    assert found.inputs[1].dtype == "?"
    assert found.outputs == (Port("y", "float32", ("...",)),)
    assert (found.parameters, found.metadata, found.nodes) == (2, {}, 1)


def test_no_file_is_described_without_being_one(tmp_path):
    (tmp_path / "cut.onnx").write_bytes(b"cut")
    with pytest.raises(DamagedFile):
        describe(tmp_path / "cut.onnx")
    with pytest.raises(UsageError):
        describe(tmp_path / "nowhere.onnx")


def test_a_loop_without_an_end_is_ended(tmp_path, monkeypatch):
    helper, kinds = onnx.helper, onnx.TensorProto
    ports = [("i", kinds.INT64, []), ("on", kinds.BOOL, []), ("x", kinds.FLOAT, None)]
    body = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name}'"]) for name in ("on", "x")],
        "body",
        [helper.make_tensor_value_info(*port) for port in ports],
        [helper.make_tensor_value_info(f"{name}'", kind, of) for name, kind, of in ports[1:]],
    )
    images = helper.make_tensor_value_info("x", kinds.FLOAT, ["batch", 3, 8, 8])
    answers = helper.make_tensor_value_info("y", kinds.FLOAT, ["batch", 3, 8, 8])
    for count in (3, 2**62):
        known = [helper.make_tensor("n", kinds.INT64, [], [count])]
        known += [helper.make_tensor("on", kinds.BOOL, [], [True])]
        loop = helper.make_node("Loop", ["n", "on", "x"], ["y"], body=body)
        graph = helper.make_graph([loop], "g", [images], [answers], known)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.save(model, tmp_path / f"{count}.onnx")
    few = np.ones((2, 3, 8, 8), np.float32)
    assert np.array_equal(open_session(tmp_path / "3.onnx")(few), few)
    monkeypatch.setattr(session, "LONGEST", 0.2)
    monkeypatch.setattr(session, "EACH", 0.0)
    with pytest.raises(DamagedFile, match="it has loops that may never end"):
        open_session(tmp_path / f"{2**62}.onnx")(few)
