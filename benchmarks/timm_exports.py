"""One model of each of timm's modules as an ONNX file, compared with PyTorch.

    python benchmarks/timm_exports.py results.jsonl                   (goes on where it was stopped)
    python benchmarks/timm_exports.py results.jsonl --table [--json]  (what is known so far)

Of each module the architecture with the fewest parameters (timm's tiny `test_*` models left to the
test suite), at its own size, or at 128 pixels a side where that is smaller and the model takes it,
with random weights, exported and compared by what `kd export` uses: seven random images at batch 7
and at batch 1, |difference| of any logit at most 1e-3, float64 deciding where PyTorch's own
rounding is larger.

Each module has a process of its own, with a limit of time and memory.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import time
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import timm
import torch
from tables import add_json, say, show
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from kdcli.core.progress import Silent
from kdcli.deploy.onnx_file.read import opset
from kdcli.deploy.onnx_file.write import export_onnx
from kdcli.deploy.parity import check_parity
from kdcli.deploy.samples import made_up_samples
from kdcli.evaluation.cost import parameters
from kdcli.models.build import build, build_meta, own_size, plan, seeded
from kdcli.models.checkpoint import ModelFile
from kdcli.models.loading import Loaded
from kdcli.models.model_args import ModelArgs
from kdcli.models.tap import Tap

IMAGES, CLASSES, LARGEST = 7, 1000, 128
"""Seven images, beside one alone: an exporter may have made the batch a constant of the graph."""
SECONDS, GIGABYTES = 400, 12
"""What one module may take; deepseek_vit alone does not end within it."""


@dataclass(frozen=True)
class Tried:
    """What came of one module of timm."""

    module: str
    model: str = ""
    parameters: int = 0
    size: int = 0
    opset: int = 0
    max_abs: float = 0.0
    reference: str = ""
    """The precision of PyTorch that decided."""
    spread: float = 0.0
    """Standard deviation of the logits over the images: what the comparison could see."""
    seconds: float = 0.0
    why_not: str = ""


def smallest(module: str) -> tuple[str, int]:
    """The architecture of one of timm's modules with the fewest parameters, and their number."""
    known = timm.list_models(module=module)
    names = [name for name in known if not _is_no_classifier(name)] or known
    counts = {name: _parameters(name) for name in names}
    return min(counts.items(), key=lambda item: item[1])


def _is_no_classifier(name: str) -> bool:
    """timm's own test models (the suite's), and encoders that have a classifying twin."""
    return name.startswith("test_") or name.endswith("_enc")


def _parameters(name: str) -> int:
    try:
        return parameters(build_meta(ModelArgs(name, CLASSES, own_size(name))))
    except Exception:  # built by values, which the meta device has not
        return sys.maxsize  # the last to be taken


def try_model(
    name: str, folder: Path, largest: int = LARGEST
) -> tuple[ModelArgs, int, float, str, float]:
    """Export and compare: (how it was built, opset, max |difference|, reference, spread).

    At its own size, or at `largest` pixels a side where that is smaller and the model takes it.

    Raises:
        KdError: what `kd export` would say; what torch says comes through.
    """
    args = plan(name, CLASSES, min(own_size(name), largest), None)
    with seeded(0, name), torch.no_grad():
        module = build(args)
        samples = made_up_samples(Tap(module, args, ""), args.input_size, IMAGES)
        (pixels,) = samples.pixels(IMAGES)
        module = awake(module, torch.from_numpy(samples.ready(pixels)))
    student = Loaded(module, args, ModelFile(args.as_dict(), {}, (), recipe={}))
    path = folder / "model.onnx"
    export_onnx(module, path, input_size=(args.input_size, args.input_size))
    part, answers = check_parity(student, path, samples, Silent())
    spread = float(answers.std(axis=0).mean())
    return args, opset(path), part.max_abs, part.reference, spread


def awake(module: nn.Module, images: Tensor) -> nn.Module:
    """Random weights that let the signal of these images through, so that there is something to
    compare; logits whose spread is at most 1.

    As they are initialised, heads of zeros, layer scales of 1e-6 and batch norms that have seen no
    image leave whole blocks silent.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | _ConvNd):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    for parameter in module.parameters():
        if parameter.numel() > 1 and parameter.min() == parameter.max():
            parameter.add_(0.1 * torch.randn_like(parameter))
    norms = [layer for layer in module.eval().modules() if isinstance(layer, _BatchNorm)]
    for norm in norms:
        norm.momentum = None  # the statistics of these images, and no mean with (0, 1)
        norm.reset_running_stats()
        norm.train()
    module(images)
    spread = float(module.eval()(images).std())
    return Scaled(module, 1 / max(spread, 1.0))


class Scaled(nn.Module):
    """Logits of a trained model's size: a tolerance of 1e-3 means nothing beside 10,000, which
    random weights reached in some modules."""

    def __init__(self, module: nn.Module, factor: float) -> None:
        super().__init__()
        self.module = module
        self.factor = factor

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.module(images)
        return logits * self.factor


def tried(module: str) -> Tried:
    """One module, here and now."""
    model, count = smallest(module)
    start = time.perf_counter()
    try:
        with TemporaryDirectory() as folder:
            args, version, apart, reference, spread = try_model(model, Path(folder))
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - start
        return Tried(module, model, count, own_size(model), seconds=seconds, why_not=said[:2000])
    seconds = time.perf_counter() - start
    return Tried(
        *(module, model, count, args.input_size, version, apart, reference, spread, seconds)
    )


def _child(module: str, answer: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))
    answer.send(tried(module))


def within_limits(module: str) -> Tried:
    """One module in a process of its own, forked, so that nothing is imported again: what eats all
    memory, never ends or crashes in C ends that process alone."""
    receive, send = multiprocessing.get_context("fork").Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_child, args=(module, send))
    process.start()
    send.close()
    try:
        if receive.poll(SECONDS):
            return receive.recv()  # type: ignore[no-any-return]
        return Tried(module, why_not=f"not done after {SECONDS} s")
    except EOFError:
        return Tried(module, why_not=f"its process died (limit of memory: {GIGABYTES} GiB)")
    finally:
        process.kill()
        process.join()


def read(results: Path) -> dict[str, Tried]:
    """What is known so far; the later line of a module counts."""
    lines = results.read_text("utf-8").splitlines() if results.exists() else []
    return {one.module: one for one in (Tried(**json.loads(line)) for line in lines)}


def table(known: dict[str, Tried]) -> list[str]:
    """Counts, a row per module, and the exceptions with what was said."""
    wanted = timm.list_modules()
    found = [known[module] for module in wanted if module in known]
    done = [one for one in found if not one.why_not]
    return [
        f"timm {timm.__version__}, torch {torch.__version__}: {len(wanted)} modules, "
        f"{len(found)} tried, {len(done)} agree with PyTorch, {len(found) - len(done)} do not.",
        "",
        "| module | model | parameters | size | opset | max abs difference | seconds |",
        "|---|---|---:|---:|---:|---:|---:|",
        *(_row(one) for one in found),
        "",
        *(f"- `{one.module}` ({one.model}): {one.why_not}" for one in found if one.why_not),
    ]


def _row(one: Tried) -> str:
    start = f"| {one.module} | {one.model} | {one.parameters:,} | {one.size} |"
    if one.why_not:
        return f"{start} | see below | {one.seconds:.0f} |"
    exact = " (float64)" if one.reference == "float64" else ""
    return f"{start} {one.opset} | {one.max_abs:.1e}{exact} | {one.seconds:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="JSON lines, appended to")
    parser.add_argument("--again", nargs="*", default=[], help="modules to repeat")
    parser.add_argument("--table", action="store_true", help="print what is known, and run nothing")
    add_json(parser)
    asked = parser.parse_args()
    if asked.table:
        known = read(asked.results)
        show(asked, [asdict(one) for one in known.values()], table(known))
        return
    torch.set_num_threads(1)
    done = read(asked.results).keys() - set(asked.again)
    for module in timm.list_modules():
        if module not in done:
            found = within_limits(module)
            with asked.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(found)) + "\n")
            say(asked, str(found))


if __name__ == "__main__":
    main()
