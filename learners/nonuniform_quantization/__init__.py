"""Non-uniform quantization with trained code books; see README.md."""
