"""`kd export --format torch`: the student as torch.export keeps it, a program of any batch size."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule

from kdcli.core.arrays import Floats
from kdcli.core.errors import UsageError
from kdcli.core.files import atomic
from kdcli.core.text import first_line
from kdcli.data.decoding import Decoding
from kdcli.deploy.onnx_file.silence import silence
from kdcli.deploy.outgoing import Outgoing
from kdcli.deploy.parity import check_same
from kdcli.deploy.result import Kept
from kdcli.models.heads import answering
from kdcli.models.loading import Loaded

TOLERANCE = 1e-5
"""Of any logit: the same weights, in a graph of torch's own making."""
ABOUT = "kd.json"
"""The extra file that says how the program is fed and what it answers."""


def write_program(outgoing: Outgoing) -> Kept:
    """Write the file, load it back, and keep it if it answers as the module does.

    Raises:
        UsageError: torch.export cannot follow this model's code.
        ParityError: what was loaded back disagrees.
    """
    student = outgoing.student
    program, about = _captured(student), json.dumps(_about(student, outgoing.samples.crop_pct))
    with atomic(outgoing.path) as beside:
        buffer = io.BytesIO()  # torch wants another ending than that of a file beside its place
        with silence():
            torch.export.save(program, buffer, extra_files={ABOUT: about})
        beside.write_bytes(buffer.getvalue())
        parity, answers = check_same(student, _loaded(beside), outgoing.samples, TOLERANCE)
    return Kept([outgoing.path], f"torch {torch.__version__}", parity, answers)


def _captured(student: Loaded) -> ExportedProgram:
    module, size = answering(student.module, student.args).eval(), student.args.input_size
    example = torch.zeros(2, 3, size, size)  # 0 and 1 would be taken for constants
    try:
        with torch.no_grad(), silence():
            shapes = ({0: torch.export.Dim("batch")},)
            program = torch.export.export(module, (example,), dynamic_shapes=shapes)
    except Exception as error:  # of many kinds, from torch's tracer and from the model's own code
        raise UsageError(
            f"torch.export cannot follow {student.args.words}: {first_line(error)}",
            "--format onnx, or --format timm, which takes every model of timm as it is",
        ) from error
    _forget_traces(program)
    return program


def _forget_traces(program: ExportedProgram) -> None:
    """They would give away the folders of the machine that exported."""
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, GraphModule) else ():
            node.meta.pop("stack_trace", None)


def _loaded(path: Path) -> Callable[[Floats], Floats]:
    """The file as a function from images (B, 3, H, W) to logits (B, K)."""
    with silence():
        module = torch.export.load(io.BytesIO(path.read_bytes())).module()

    def answer(images: Floats) -> Floats:
        with torch.inference_mode():
            logits: Floats = module(torch.from_numpy(images)).numpy()
        return logits

    return answer


def _about(student: Loaded, crop_pct: float) -> dict[str, Any]:
    args, made = student.args, student.file.provenance
    return {
        "model": args.words,
        "classes": student.file.classes,
        "input": "float32 RGB, (pixel / 255 - mean) / std, NCHW",
        "input_size": args.input_size,
        "crop_pct": crop_pct,
        "mean": args.mean,
        "std": args.std,
        "decoding": Decoding.from_dict(made.get("decoding")).as_dict(),
        "data": made.get("data"),
        "licence": made.get("licence"),
    }
