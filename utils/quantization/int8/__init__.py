"""Quantization-aware models, which simulate int8 arithmetic in training: wrapping, unwrapping and conversion.

Importing this package does not import TensorFlow Model Optimization, which is imported on demand.
"""

from pocketflow.utils.quantization.int8.inspect import is_quantization_aware
from pocketflow.utils.quantization.int8.on_demand import plain_if_quantization_aware, register_classes_in

__all__ = ['is_quantization_aware', 'plain_if_quantization_aware', 'register_classes_in']
