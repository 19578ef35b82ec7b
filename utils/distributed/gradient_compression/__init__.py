"""Gradient compression between workers: `none`, `fp16`, `ecq` (error-compensated quantization), or `powersgd`."""

from __future__ import annotations

from pocketflow.utils.system.late_imports import late_names

_PUBLIC = {
    'CompressionOptions': 'pocketflow.utils.distributed.gradient_compression.options',
    'GradientReducer': 'pocketflow.utils.distributed.gradient_compression.reducer',
    'make_reducer': 'pocketflow.utils.distributed.gradient_compression.strategies',
}
"""Public name -> the module that defines it."""

__all__ = list(_PUBLIC)
__getattr__, __dir__ = late_names(__name__, _PUBLIC)
