"""Whom commands that are printed name, where nobody was named."""

TEACHER, STUDENT = "resnet101", "mobilenetv3"
