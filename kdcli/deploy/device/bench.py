"""How fast are ONNX files here? `python bench.py [MODEL.onnx ...]` prints it as JSON."""

import argparse
import json
import platform
import re
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np
import onnxruntime


def told(file: str, key: str = "") -> str:
    """What stands behind the key in a file of Linux; nothing on other systems."""
    text = Path(file).read_text() if Path(file).exists() else ""
    return "".join(re.findall(f"{key}(.*)", text)[:1]).strip(" :\t\0")


def peak_memory() -> int:
    """Of this process so far, in bytes; 0 on Windows, which does not say."""
    if kilobytes := told("/proc/self/status", "VmHWM"):  # getrusage would count the parent in
        return int(kilobytes.split()[0]) * 1024
    try:
        from resource import RUSAGE_SELF, getrusage  # in bytes on macOS
    except ImportError:
        return 0
    return getrusage(RUSAGE_SELF).ru_maxrss


def measure(path: Path, threads: int, seconds: float, side: int = 0) -> dict[str, object]:
    """Milliseconds per image, which are zeros; the first quarter of the calls warms up."""
    before, start, times = peak_memory(), perf_counter(), list[float]()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    loaded, takes = perf_counter(), session.get_inputs()[0]
    side = side or int(session.get_modelmeta().custom_metadata_map.get("kd.image_size", 224))
    shape = [n if isinstance(n, int) else side if i else 1 for i, n in enumerate(takes.shape)]
    images = np.zeros(shape, np.float32 if takes.type == "tensor(float)" else np.uint8)
    while len(times) < 9 or perf_counter() - loaded < seconds:
        called = perf_counter()
        session.run(None, {takes.name: images})
        times.append(1e3 * (perf_counter() - called) / shape[0])
    peak, counted = peak_memory() - before, times[1 + len(times) // 4 :]
    found: dict[str, object] = {"file": path.name, "load_seconds": loaded - start, "cold": times[0]}
    found |= {"bytes": path.stat().st_size, "sha256": sha256(path.read_bytes()).hexdigest()}
    found |= {f"p{share}": float(np.percentile(counted, share)) for share in (50, 90, 99)}
    return found | {"runs": len(counted), "peak_memory_bytes": peak or None, "fed": shape}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, help="default: all beside this script")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0, help="per file")
    parser.add_argument("--side", type=int, default=0, help="of images, where a file takes any")
    (paths, *how), models = vars(parser.parse_args()).values(), []
    for path in paths or sorted(Path(__file__).parent.glob("*.onnx")):
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:  # peaks must not add up
            models.append(alone.submit(measure, path, *how).result())
    board = told("/proc/device-tree/model") or told("/proc/cpuinfo", "model name")
    versions = {"onnxruntime": onnxruntime.__version__, "python": platform.python_version()}
    about = {"schema": 1, "threads": how[0], "system": " ".join(platform.uname()[::2])}
    about["device"] = board or platform.processor() or platform.machine()
    print(json.dumps(about | versions | {"models": models}, indent=2))
