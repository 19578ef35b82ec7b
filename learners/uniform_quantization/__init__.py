"""Uniform quantization on evenly spaced grids; see README.md."""
