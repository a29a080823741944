"""The student leaves: ONNX, timm, torch; checked, timed, judged."""
