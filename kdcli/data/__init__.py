"""Data: sources, splits, order, augmentation, batches."""
