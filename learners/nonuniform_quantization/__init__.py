"""Quantization by trained code books; see README.md."""
