"""Models that simulate int8 arithmetic while they are trained: made, saved, undone and converted.

Importing this package does not import TensorFlow Model Optimization; it is loaded when such a model is at hand.
"""

from pocketflow.utils.quantization.int8.inspect import is_quantization_aware
from pocketflow.utils.quantization.int8.on_demand import plain_if_quantization_aware, register_classes_in

__all__ = ['is_quantization_aware', 'plain_if_quantization_aware', 'register_classes_in']
