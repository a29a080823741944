"""How good, how sure, do two differ; measured on images."""
