"""Post-training quantization, without training and without labels; see README.md."""
