"""Discrimination-aware channel pruning; see README.md."""
