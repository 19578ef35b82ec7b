"""How gradients travel between workers: `none`, `fp16`, or `ecq` (error-compensated quantization)."""

from utils.gradient_compression.options import CompressionOptions
from utils.gradient_compression.strategies import GradientReducer, make_reducer

__all__ = ['CompressionOptions', 'GradientReducer', 'make_reducer']
