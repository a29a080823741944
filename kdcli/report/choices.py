"""Closed sets of words, as flags take and the record holds them; they cost nothing to import."""

from typing import Literal

InputKind = Literal["tensor", "pixels"]
"""What a file takes: normalised floats, or pixels as in an image file."""
Precision = Literal["fp32", "int8", "fp16"]
Calibration = Literal["MinMax", "Percentile", "Entropy"]
"""How the range of an activation is read off images (`onnx_file.int8.calibrate`)."""
Target = Literal["x86", "arm"]
"""The processor that int8 is for."""
Integer = Literal["uint8", "int8"]
WantedFold = Literal["auto", "exact", "never"]
"""Several heads become one: where that costs next to no accuracy, where it is exact, never."""
Protocol = Literal["quick", "thorough"]
"""Of timings: some seconds per file, which is indicative; 1,024 samples and a minute at least."""
RunsBy = Literal[
    "date", "test_accuracy", "val_accuracy", "params", "file_bytes", "latency_ms", "bytes"
]
"""What runs are listed by."""
