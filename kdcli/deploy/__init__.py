"""What is copied to the device."""

from pathlib import Path

BENCH = Path(__file__).with_name("bench.py")
"""How fast the files are there: numpy, onnxruntime and nothing of kd."""
