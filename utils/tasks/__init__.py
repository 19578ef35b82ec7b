"""Interface of tasks: metrics, labels, losses, and comparison of outputs."""
