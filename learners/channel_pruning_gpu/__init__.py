"""Channel pruning by group-sparse regression of each layer; see README.md."""
