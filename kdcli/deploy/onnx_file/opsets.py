"""A model in another version of ONNX's operators, or what stands in the way, in words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from kdcli.core.errors import UsageError
from kdcli.deploy.onnx_file.read import opset_of

if TYPE_CHECKING:
    from onnx import AttributeProto, ModelProto, NodeProto

OLDEST = 7
"""onnxruntime promises nothing below."""
TRACED = 18
"""The oldest opset that torch writes by itself; what is older is converted from it."""
FUSED = 20
"""From here on torch writes Gelu as one operator, which has no older form."""


def ensure_known(opset: int) -> None:
    """Raise UsageError, with the range, for an opset that onnx or onnxruntime does not know."""
    newest = _newest()
    if not OLDEST <= opset <= newest:
        raise UsageError(
            f"--opset {opset}: no version that is known here",
            f"the installed onnx and onnxruntime know {OLDEST} to {newest}",
        )


@cache
def _newest() -> int:
    """Of those that onnx defines, the last one that onnxruntime runs: it says so by refusing."""
    import onnx
    from onnx import helper
    from onnxruntime import InferenceSession

    one = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", one[:1], one[1:])
    newest: int = onnx.defs.onnx_opset_version()
    for opset in range(newest, OLDEST, -1):
        imports = [helper.make_opsetid("", opset)]
        model = helper.make_model_gen_version(graph, opset_imports=imports)
        try:
            InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        except Exception:  # onnxruntime's errors have no common class of their own
            continue
        return opset
    return OLDEST


def convert(proto: ModelProto, opset: int) -> ModelProto:
    """The model in another opset, and in the oldest file format that holds it.

    Whether it still answers alike is for `compare` to say.

    Raises:
        UsageError: the model needs an operator that the opset lacks, or onnx converts it no
            further. The lowest opset that it does convert to is named.
    """
    import onnx

    converted = _converted(proto, opset)
    if isinstance(converted, str):
        reachable = (n for n in range(opset + 1, opset_of(proto) + 1) if _reaches(proto, n))
        raise UsageError(
            f"--opset {opset}: {converted}",
            f"the lowest that this model converts to is {next(reachable, opset_of(proto))}",
        )
    converted.ir_version = onnx.helper.find_min_ir_version_for(list(converted.opset_import))
    return converted


def _reaches(proto: ModelProto, opset: int) -> bool:
    return not isinstance(_converted(proto, opset), str)


def _converted(proto: ModelProto, opset: int) -> ModelProto | str:
    """The model in another opset, as onnx's checker passes it; else why not, in words."""
    import onnx

    if later := sorted(set(_came_later(proto, opset))):
        return "; ".join(f"{name} came with opset {since}" for name, since in later)
    plain = onnx.ModelProto()
    plain.CopyFrom(proto)
    for node in plain.graph.node:
        _drop_defaults(node, opset)
    try:
        converted: ModelProto = onnx.version_converter.convert_version(plain, opset)
        onnx.checker.check_model(converted, full_check=True)
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
        # behind the place in its source where it stopped
        return f"onnx cannot convert this model: {str(error).partition(' failed: ')[2] or error}"
    reached = opset_of(converted)
    return converted if reached == opset else f"onnx converted this model to {reached} instead"


def _came_later(proto: ModelProto, opset: int) -> Iterator[tuple[str, int]]:
    """Operators of the model that the opset lacks, and when they came."""
    first = _first_opsets()
    for node in proto.graph.node:
        since = first.get(node.op_type, 0) if node.domain in ("", "ai.onnx") else 0
        if since > opset:
            yield node.op_type, since


@cache
def _first_opsets() -> dict[str, int]:
    import onnx

    first: dict[str, int] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            since = first.get(schema.name, schema.since_version)
            first[schema.name] = min(since, schema.since_version)
    return first


def _drop_defaults(node: NodeProto, opset: int) -> None:
    """Drop attributes that the opset does not know, where they say what holds without them.

    onnx's converter leaves them (`noop_with_empty_axes=0` of a ReduceMean), its checker refuses.
    """
    import onnx

    if node.domain not in ("", "ai.onnx") or not onnx.defs.has(node.op_type, opset, ""):
        return
    now = onnx.defs.get_schema(node.op_type).attributes
    then = onnx.defs.get_schema(node.op_type, opset).attributes
    for attribute in list(node.attribute):
        known = now.get(attribute.name)
        if attribute.name not in then and known and _says_default(attribute, known.default_value):
            node.attribute.remove(attribute)


def _says_default(attribute: AttributeProto, default: AttributeProto) -> bool:
    from onnx.helper import get_attribute_value

    return bool(default.type) and get_attribute_value(attribute) == get_attribute_value(default)
