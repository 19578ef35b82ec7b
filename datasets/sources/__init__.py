"""Sources of samples: arrays in memory, and files that are decoded on demand."""
