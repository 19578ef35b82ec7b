"""Channel pruning by LASSO and least squares; see README.md."""
