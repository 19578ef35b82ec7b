"""Fake-quantization layers: layers that quantize their kernels when called, and quantization of activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.quantization.encoding import Encoding, known_kernel_name
from pocketflow.utils.quantization.quantizers import CodebookQuantizer, Quantizer, UniformQuantizer

if TYPE_CHECKING:
    _LayerClass: TypeAlias = keras.layers.Layer  # the base class that follows the mixin in each class
else:
    _LayerClass = object


def _as_quantizer(quantizer: Quantizer | dict[str, Any]) -> Quantizer:
    return keras.saving.deserialize_keras_object(quantizer) if isinstance(quantizer, dict) else quantizer


class QuantizedKernel(_LayerClass):
    """Mixin for a layer class with a kernel: computes with the quantized kernel, and trains kernel and code books.

    Args:
      quantizer: for the kernel; each layer needs its own.
      args, kwargs: as for the plain layer.
    """

    plain_class: type[keras.layers.Layer]

    def __init__(self, *args: Any, quantizer: Quantizer | dict[str, Any], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.quantizer = _as_quantizer(quantizer)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.quantizer.build(self.add_weight, self.kernel_variable.shape.as_list())

    @property
    def kernel_variable(self) -> tf.Variable:
        """The kernel before quantization."""
        return getattr(self, known_kernel_name(self))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        # The quantizer has a `match`, which AutoGraph cannot convert; nothing needs to be converted.
        return tf.autograph.experimental.do_not_convert(self._compute)(inputs)

    def _compute(self, inputs: tf.Tensor) -> tf.Tensor:
        name, kernel = known_kernel_name(self), self.kernel_variable
        # Not with setattr, by which Keras would remove the variable from the weights.
        self.__dict__[name] = self.quantizer.quantize(kernel)
        try:
            return super().call(inputs)
        finally:
            self.__dict__[name] = kernel

    def encode(self) -> Encoding:
        """The encoding of the current kernel."""
        return self.quantizer.encode(self.kernel_variable.numpy())

    def set_bits(self, bits: int) -> None:
        """Changes the bit width; code books are fitted again."""
        self.quantizer.bits.assign(bits)
        if isinstance(self.quantizer, CodebookQuantizer):
            self.quantizer.reset(self.kernel_variable.numpy())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), 'quantizer': keras.saving.serialize_keras_object(self.quantizer)}

    def plain_config(self) -> dict[str, Any]:
        """The config of the plain layer."""
        config: dict[str, Any] = super().get_config()
        return config


@keras.saving.register_keras_serializable(package='PocketFlow')
class QuantizedConv2D(QuantizedKernel, keras.layers.Conv2D):
    """`Conv2D` with a quantized kernel."""

    plain_class = keras.layers.Conv2D


@keras.saving.register_keras_serializable(package='PocketFlow')
class QuantizedDepthwiseConv2D(QuantizedKernel, keras.layers.DepthwiseConv2D):
    """`DepthwiseConv2D` with a quantized kernel."""

    plain_class = keras.layers.DepthwiseConv2D


@keras.saving.register_keras_serializable(package='PocketFlow')
class QuantizedDense(QuantizedKernel, keras.layers.Dense):
    """`Dense` with a quantized kernel."""

    plain_class = keras.layers.Dense


QUANTIZED = {
    layer_class.plain_class: layer_class for layer_class in (QuantizedConv2D, QuantizedDepthwiseConv2D, QuantizedDense)
}
"""Plain layer class -> its quantized class. Exact classes: a subclass may compute a different function."""


@keras.saving.register_keras_serializable(package='PocketFlow')
class QuantizeActivation(keras.layers.Layer):
    """Quantizes its input on a grid over a range that is a moving average in training, and frozen afterwards.

    Args:
      bits: 2..32.
      momentum: of the moving averages of the range.
    """

    def __init__(self, bits: int, momentum: float = 0.99, **kwargs: Any):
        super().__init__(**kwargs)
        self.quantizer = UniformQuantizer(bits, momentum)

    def build(self, input_shape: Any) -> None:
        self.quantizer.build(self.add_weight, input_shape)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if training:
            self.quantizer.observe(inputs)
        return self.quantizer.quantize(inputs)

    def set_range(self, low: float, high: float) -> None:
        """Sets the initial values of the moving averages."""
        self.quantizer.low.assign(low)
        self.quantizer.high.assign(high)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.quantizer.get_config()}
