"""How gradients travel between workers: `none`, `fp16`, or `ecq` (error-compensated quantization)."""

from pocketflow.utils.distributed.gradient_compression.options import CompressionOptions
from pocketflow.utils.distributed.gradient_compression.strategies import GradientReducer, make_reducer

__all__ = ['CompressionOptions', 'GradientReducer', 'make_reducer']
