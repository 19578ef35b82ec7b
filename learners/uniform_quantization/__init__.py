"""Quantization on evenly spaced grids; see README.md."""
