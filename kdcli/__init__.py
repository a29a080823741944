"""kd: knowledge distillation on the command line."""

__version__ = "0.1.0"
