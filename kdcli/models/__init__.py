"""Models: a name becomes a module, a module becomes Outputs."""
