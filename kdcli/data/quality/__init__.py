"""What may be wrong with the images, found before a training learns it."""
