"""Schemes: who imitates whom. One file each; the file name is the recipe value."""
