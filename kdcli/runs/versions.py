"""What a run was made with."""

import sys


def versions() -> dict[str, str]:
    """Of what decides a result; read without importing any of it. In no digest: an upgrade of torch
    orphans no run, but is told (`ensure.warn_of_versions`)."""
    from importlib.metadata import version

    packages = ("kdcli", "torch", "timm", "onnx", "onnxruntime")
    return {"python": sys.version.split()[0]} | {name: version(name) for name in packages}
