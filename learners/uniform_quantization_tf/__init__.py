"""Quantization-aware training for int8 files; see README.md."""
