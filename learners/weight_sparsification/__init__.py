"""Gradual magnitude pruning of single weights; see README.md."""
