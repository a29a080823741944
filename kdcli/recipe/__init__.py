"""The YAML format: a file per top-level key, read and checked."""
