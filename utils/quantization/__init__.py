"""Quantization: quantizers, the layers that simulate it in training, and models with and without them."""

from pocketflow.utils.quantization.layers import (
    QuantizeActivation,
    QuantizedConv2D,
    QuantizedDense,
    QuantizedDepthwiseConv2D,
    QuantizedKernel,
)
from pocketflow.utils.quantization.models import (
    activation_layers,
    activation_ranges,
    codebook_variables,
    excluding,
    quantizable_layers,
    quantized_copy,
    quantized_layers,
    strip_quantization,
    unquantizable_layers,
)
from pocketflow.utils.quantization.quantizers import (
    FULL_BITS,
    MAX_CODEBOOK_BITS,
    MAX_WEIGHT_BITS,
    BucketQuantizer,
    CodebookQuantizer,
    Quantizer,
    UniformQuantizer,
)

__all__ = [
    'FULL_BITS',
    'MAX_CODEBOOK_BITS',
    'MAX_WEIGHT_BITS',
    'BucketQuantizer',
    'CodebookQuantizer',
    'QuantizeActivation',
    'QuantizedConv2D',
    'QuantizedDense',
    'QuantizedDepthwiseConv2D',
    'QuantizedKernel',
    'Quantizer',
    'UniformQuantizer',
    'activation_layers',
    'activation_ranges',
    'strip_quantization',
    'codebook_variables',
    'excluding',
    'quantizable_layers',
    'quantized_copy',
    'quantized_layers',
    'unquantizable_layers',
]
