"""Quantization: quantizers, layers that simulate it in training, and conversions of models to and from such layers."""

from __future__ import annotations

from pocketflow.utils.system.late_imports import late_names

_PUBLIC = {
    'BucketQuantizer': 'pocketflow.utils.quantization.quantizers',
    'CodebookQuantizer': 'pocketflow.utils.quantization.quantizers',
    'FULL_BITS': 'pocketflow.utils.quantization.limits',
    'MAX_CODEBOOK_BITS': 'pocketflow.utils.quantization.limits',
    'MAX_WEIGHT_BITS': 'pocketflow.utils.quantization.limits',
    'QuantizeActivation': 'pocketflow.utils.quantization.layers',
    'QuantizedConv2D': 'pocketflow.utils.quantization.layers',
    'QuantizedDense': 'pocketflow.utils.quantization.layers',
    'QuantizedDepthwiseConv2D': 'pocketflow.utils.quantization.layers',
    'QuantizedKernel': 'pocketflow.utils.quantization.layers',
    'Quantizer': 'pocketflow.utils.quantization.quantizers',
    'UniformQuantizer': 'pocketflow.utils.quantization.quantizers',
    'activation_layers': 'pocketflow.utils.quantization.models',
    'activation_ranges': 'pocketflow.utils.quantization.models',
    'codebook_variables': 'pocketflow.utils.quantization.models',
    'excluding': 'pocketflow.utils.quantization.models',
    'quantizable_layers': 'pocketflow.utils.quantization.models',
    'quantized_copy': 'pocketflow.utils.quantization.models',
    'quantized_layers': 'pocketflow.utils.quantization.models',
    'strip_quantization': 'pocketflow.utils.quantization.models',
    'unquantizable_layers': 'pocketflow.utils.quantization.models',
}
"""Public name -> the module that defines it."""

__all__ = list(_PUBLIC)
__getattr__, __dir__ = late_names(__name__, _PUBLIC)
