"""From Spec to model.pt: build, loop, resume, ensure."""
