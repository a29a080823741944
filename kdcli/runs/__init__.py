"""What decides a training (Spec), the folder it lies in, finding it, pruning it."""
