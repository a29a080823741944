"""Somebody else's weights: found in what their file holds, and fitted to a model of timm."""
