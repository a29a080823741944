"""What is copied to the device.

Scripts that stand alone: numpy, onnxruntime and the standard library, Pillow where there is one,
nothing of kdcli. `kd export` copies every one of them, as it is, beside the model.
"""

from pathlib import Path

BENCH = Path(__file__).with_name("bench.py")
"""How fast the files are there."""
