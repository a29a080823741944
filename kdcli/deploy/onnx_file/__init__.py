"""A model as an ONNX file: written, read, run. The home of onnx and onnxruntime.

B images, K classes, H x W pixels. A file takes `images` (B, 3, H, W), float32 and already
normalised, and gives `logits` (B, K) float32; dressed, it takes `pixels` (B, H, W, 3), uint8, and
gives `probabilities` (B, K). Reading and running one needs no torch.
"""
