"""What every chapter uses and none is about: validation, files, random numbers, batches, locks, plotting."""
