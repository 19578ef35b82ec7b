"""Channel pruning in groups of layers, with tuning in between; see README.md."""
