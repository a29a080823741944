"""Rows 41 and 50: ONNX files whose metadata or graphs are odd."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pytest
from contract import Scratch, cases, holds, tried
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

METADATA = {
    "kd.classes": '["a", "b", "c"]',
    "kd.input_size": "8",
    "kd.mean": "[0.5, 0.5, 0.5]",
    "kd.std": "[0.5, 0.5, 0.5]",
}
KEYS = (
    *METADATA,
    *("kd.image_size", "kd.input_kind", "kd.resize", "kd.output", "kd.crop_pct", "kd.model"),
    *("kd.decoding", "kd.precision", "kd.licence", "kd.task", "kd", ""),
)
VALUES = (
    *("pixels", "tensor", "probabilities", "[]", "[1]", '["a"]', '["a", "a"]', "{}", "[[]]", "{"),
    *("[NaN, 0, 0]", "[0, 0, 0]", "[1e999, 1, 1]", "[-1, -1, -1]", '["x", 1, 1]', "[true, 1, 1]"),
    *(
        "8.5",
        "8192",
        "8193",
        "99999999999",
        "[" * 10_000,
        '["\\u001b[2J", "\\ud800", ":x:"]',
        "[null]",
    ),
    '["' + "x" * 70_000 + '", "b", "c"]',
)
DIMS = (None, 1, 3, 8, 0, -1, 7, 2**40, "batch", "")
TYPES = (
    *(
        TensorProto.FLOAT,
        TensorProto.UINT8,
        TensorProto.INT64,
        TensorProto.STRING,
        TensorProto.BOOL,
    ),
    *(TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16, TensorProto.UNDEFINED, 99),
)
OPERATORS = (
    *("Identity", "Softmax", "Shape", "Cast", "ReduceMean", "Flatten", "NonZero", "Size", "Abs"),
    *(
        "Sqrt",
        "Log",
        "Neg",
        "Transpose",
        "NoSuch",
        "Loop",
        "If",
        "Dropout",
        "Unique",
        "RandomNormalLike",
    ),
)
COMMANDS = (
    *(
        "inspect m.onnx",
        "inspect m.onnx --json",
        "predict m.onnx a.png",
        "predict m.onnx a.png --json",
    ),
    *(
        "predict m.onnx a.png b.png",
        "evaluate m.onnx --test photos --json",
        "predict m.onnx photos",
    ),
    *("compare m.onnx m.onnx --no-measure --data photos", "inspect m.onnx --data photos"),
)


@dataclass(frozen=True)
class Graph:
    """A mean over each channel, by an operator or two; what the file says of it may be wrong."""

    metadata: tuple[tuple[str, str], ...] = ()
    takes: tuple[Any, ...] = ("batch", 3, 8, 8)
    gives: tuple[Any, ...] = ("batch", 3)
    type: int = TensorProto.FLOAT
    given: int = TensorProto.FLOAT
    operators: tuple[str, ...] = ()
    inputs: int = 1
    outputs: int = 1
    opset: int = 17
    ir: int = 8
    name: str = "logits"
    weight: float = 1.0
    flipped: tuple[tuple[int, int], ...] = ()
    """Bytes of the file, by their place (modulo its length), and what they become."""

    def bytes(self) -> bytes:
        """As they lie on the disk."""
        nodes = [helper.make_node("GlobalAveragePool", ["x0"], ["t"])]
        nodes.append(helper.make_node("Flatten", ["t"], ["v0"]))
        for i, kind in enumerate(self.operators):
            nodes.append(helper.make_node(kind, [f"v{i}"], [f"v{i + 1}"]))
        last = f"v{len(self.operators)}"
        nodes.append(helper.make_node("Mul", [last, "w"], [self.name]))
        weights = numpy_helper.from_array(np.array([self.weight], np.float32), "w")
        ins = [info(f"x{i}", self.type, self.takes) for i in range(self.inputs)]
        names = [self.name, last, "t", "nowhere"][: self.outputs]
        outs = [info(name, self.given, self.gives) for name in names]
        graph = helper.make_graph(nodes, "g", ins, outs, [weights])
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=self.ir)
        for key, value in (METADATA | dict(self.metadata)).items():
            model.metadata_props.add(key=key, value=value)
        content = bytearray(model.SerializeToString())
        for place, new in self.flipped:
            content[place % len(content)] = new
        return bytes(content)


def info(name: str, kind: int, dims: tuple[Any, ...]) -> Any:
    """A port of this type and shape."""
    if kind == 99:
        return helper.make_tensor_sequence_value_info(name, TensorProto.FLOAT, None)
    return helper.make_tensor_value_info(name, kind, None if dims == (None,) else list(dims))


utf8 = hostile.texts.filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
shapes = st.lists(st.sampled_from(DIMS), max_size=5).map(tuple)
metadata = st.lists(
    st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES) | utf8 | hostile.numbers), max_size=3
).map(tuple)
usual: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "takes": shapes,
        "gives": shapes,
        "type": st.sampled_from(TYPES),
        "given": st.sampled_from(TYPES),
        "operators": st.lists(st.sampled_from(OPERATORS), max_size=2).map(tuple),
        "inputs": st.integers(0, 2),
        "outputs": st.integers(0, 4),
        "opset": st.sampled_from([0, 1, 7, 17, 22, 99, 2**31]),
        "ir": st.sampled_from([0, 3, 8, 99]),
        "name": st.sampled_from(["probabilities", "", "x0", "w"]) | utf8,
        "weight": st.sampled_from([float("nan"), float("inf"), 0.0, 1e38]),
        "flipped": st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255)), max_size=4).map(
            tuple
        ),
    }
)


def some_of(fields: dict[str, Any], kept: set[str]) -> dict[str, Any]:
    """One oddity or two at a time, else the first that is found hides the others."""
    return {key: value for key, value in fields.items() if key in kept}


oddities = st.sets(st.sampled_from(list(Graph.__dataclass_fields__)), max_size=3)
graphs = st.builds(
    lambda told, fields, kept: Graph(told, **some_of(fields, kept)), metadata, usual, oddities
)
KNOWN = [
    (Graph(), "evaluate m.onnx --test photos --json"),  # no kd.model in it
    (Graph((("kd.classes", "[" * 10_000),)), "inspect m.onnx"),
    (Graph((("kd.classes", "[" * 10_000),)), "predict m.onnx a.png"),
    (Graph(outputs=0), "predict m.onnx a.png b.png"),
    (Graph(inputs=0), "inspect m.onnx"),
    (Graph(inputs=2), "predict m.onnx a.png"),
    (Graph(takes=()), "predict m.onnx a.png"),
    (Graph(takes=("batch", 3, 8)), "predict m.onnx a.png"),
    (Graph(takes=(2**40, 3, 8, 8)), "predict m.onnx a.png --json"),
    (Graph(type=TensorProto.INT64), "predict m.onnx a.png"),
    (Graph(operators=("Shape",)), "predict m.onnx a.png"),
    (Graph(flipped=((62, 0xFF),)), "inspect m.onnx"),  # a name that is no UTF-8
    (Graph(flipped=((230, 0xFF),)), "inspect m.onnx"),  # so is what metadata say
]


@cases(few=15, many=2000)
def test_any_onnx_file_is_run_or_refused(
    count: int, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def furnish(folder: Path) -> None:
        for name in "abc":
            (folder / "photos" / name).mkdir(parents=True)
            for file in sorted((pictures / "zero").iterdir())[:2]:
                shutil.copy(file, folder / "photos" / name / f"{name}{file.name}")
        Image.new("RGB", (9, 8), (7, 8, 9)).save(folder / "a.png")
        Image.new("L", (3, 30), 77).save(folder / "b.png")

    scratch = Scratch(tmp_path / "here", monkeypatch, furnish)

    def check(case: tuple[Graph, str]) -> None:
        graph, command = case
        content = graph.bytes()
        (scratch.anew() / "m.onnx").write_bytes(content)
        holds(*command.split(), folder=scratch.path, only_reads=True)

    tried(count, st.tuples(graphs, st.sampled_from(COMMANDS)), KNOWN, check)
