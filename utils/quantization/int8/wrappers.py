"""Wrappers for quantization-aware training, based on TensorFlow Model Optimization.

Weights: Jacob et al. 2018 (https://arxiv.org/abs/1712.05877), symmetric, one scale per output channel if the kernels
of the runtime support it. The range is the largest magnitude of the current weights, so it needs no variable and no
moving average. Activations: asymmetric, one scale per tensor, the range a moving average (section 3.1).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras
from tensorflow_model_optimization.python.core.quantization.keras.quantize_config import QuantizeConfig
from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import QuantizeWrapperV2
from tensorflow_model_optimization.python.core.quantization.keras.quantizers import Quantizer

from pocketflow.utils.quantization.encoding import largest_symmetric_code
from pocketflow.utils.quantization.int8.biases import as_stored, folding_norm, input_scale, norm_input_scale, shift_for
from pocketflow.utils.quantization.int8.placement import FIXED_RANGES

RANGE_DECAY = 0.99
"""Decay of the moving average of a range, per step."""
STORED_BITS = 8
SMALLEST_RANGE = 1e-5
"""Least range of a channel, as a share of the largest: smaller scales would overflow the 32-bit biases."""

NARROWEST = 1e-6
"""The converter widens ranges of at most this width to at least -1e-6..1e-6 (`ExpandVerySmallRange` in TensorFlow's
`quantization_utils.cc`)."""


@dataclasses.dataclass(frozen=True)
class Simulation:
    """Settings of one wrapper.

    Attributes:
      kernel: the attribute of the kernel to be rounded, or `None`.
      output: whether the output is rounded.
      positive: whether the output is never negative, so that only its maximum is observed.
      fixed: the activation in `FIXED_RANGES` that determines the range of the output, or `None`.
      least: least width of the range of the output.
      weight_bits, activation_bits: widths.
      delay: training steps before values are rounded in training; ranges are updated from the start.
      is_stored: whether the kernel is already on its grid of `weight_bits`, and is to be stored in 8 bits.
    """

    kernel: str | None
    output: bool
    positive: bool = False
    fixed: str | None = None
    least: float = 0.0
    weight_bits: int = 8
    activation_bits: int = 8
    delay: int = 0
    is_stored: bool = False


class Delayed(Quantizer):
    """A quantizer that returns values unchanged in training until the step at which quantization starts."""

    def __init__(self, simulation: Simulation):
        self.simulation = simulation

    def get_config(self) -> dict[str, Any]:
        return dataclasses.asdict(self.simulation)

    def _after_delay(self, values: tf.Tensor, rounded: Any, step: tf.Variable, training: bool) -> tf.Tensor:
        if not training or not self.simulation.delay:
            return rounded()
        return tf.cond(step >= self.simulation.delay, rounded, lambda: tf.identity(values))


class KernelQuantizer(Delayed):
    """Symmetric; one range per output channel for convolutions, one per tensor for the others.

    For dense layers, the converter does not accept one scale per channel from a simulation.
    """

    def build(self, tensor_shape: Sequence[int], name: str, layer: keras.layers.Layer) -> dict[str, tf.Variable]:
        self.is_depthwise = type(layer.layer) is keras.layers.DepthwiseConv2D
        self.per_channel = self.is_depthwise or type(layer.layer) is keras.layers.Conv2D
        return {'step': layer.optimizer_step}

    def __call__(self, inputs: tf.Tensor, training: bool, weights: dict[str, tf.Variable], **kwargs: Any) -> tf.Tensor:
        return self._after_delay(inputs, lambda: self.rounded(inputs), weights['step'], training)

    def scales(self, kernel: tf.Tensor) -> tf.Tensor:
        """The step of the grid, for each output channel or for all."""
        largest = largest_magnitudes(kernel, self.per_channel, self.is_depthwise)
        return largest / largest_symmetric_code(self.simulation.weight_bits)

    def rounded(self, kernel: tf.Tensor) -> tf.Tensor:
        """The kernel, rounded to its grid."""
        bits = self.simulation.weight_bits
        if not self.simulation.is_stored:
            return round_symmetric(kernel, bits, self.per_channel, self.is_depthwise)
        factor = largest_symmetric_code(STORED_BITS) / largest_symmetric_code(bits)
        return round_symmetric(kernel, STORED_BITS, self.per_channel, self.is_depthwise, factor)


def round_symmetric(
    kernel: tf.Tensor, bits: int, per_channel: bool, depthwise: bool = False, factor: float = 1.0
) -> tf.Tensor:
    """Rounds the kernel to a symmetric grid of 2^bits - 1 values, with straight-through gradients.

    Args:
      kernel: for `per_channel` [height, width, inputs, outputs], or, for `depthwise`, [height, width, channels,
        multiplier]; else any shape.
      bits: 2 to 8.
      per_channel: whether each output channel has a separate range.
      depthwise: whether the kernel is that of a depthwise convolution, with `channels * multiplier` output channels.
      factor: range of the grid, in units of the largest magnitude.
    """
    kernel = tf.convert_to_tensor(kernel)
    largest = largest_magnitudes(kernel, per_channel, depthwise) * factor
    if not per_channel:
        return tf.quantization.fake_quant_with_min_max_vars(kernel, -largest, largest, bits, narrow_range=True)
    rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(
        _folded(kernel, depthwise), -largest, largest, bits, narrow_range=True
    )
    return tf.reshape(rounded, kernel.shape)


def largest_magnitudes(kernel: tf.Tensor, per_channel: bool, depthwise: bool) -> tf.Tensor:
    """The ends of the grids of `round_symmetric`: `[output channels]`, or one for all."""
    if not per_channel:
        return _filled(tf.reduce_max(tf.abs(kernel)), 0.0)
    largest = tf.reduce_max(tf.abs(_folded(kernel, depthwise)), (0, 1, 2))
    return _filled(largest, SMALLEST_RANGE * tf.reduce_max(largest))


def _folded(kernel: tf.Tensor, depthwise: bool) -> tf.Tensor:
    """The kernel with its output channels on the last axis."""
    shape = kernel.shape
    return tf.reshape(kernel, (*shape[:2], 1, shape[2] * shape[3])) if depthwise else kernel


def _filled(largest: tf.Tensor, least: tf.Tensor | float) -> tf.Tensor:
    """The range, at least `least`, and positive even if all weights are zero; it has no gradient."""
    largest = tf.maximum(largest, least)
    return tf.stop_gradient(tf.where(largest > 0, largest, tf.ones_like(largest)))


class FixedQuantizer(Delayed):
    """Asymmetric, with the range that the runtime prescribes.

    The converter uses the same range, so values are not rounded in models for the converter.
    """

    def build(self, tensor_shape: Any, name: str, layer: keras.layers.Layer) -> dict[str, tf.Variable]:
        return {'step': layer.optimizer_step}

    def __call__(self, inputs: tf.Tensor, training: bool, weights: dict[str, tf.Variable], **kwargs: Any) -> tf.Tensor:
        if self.simulation.is_stored:
            return inputs
        assert self.simulation.fixed is not None  # others get an `OutputQuantizer`
        low, high = FIXED_RANGES[self.simulation.fixed]

        def rounded() -> tf.Tensor:
            return tf.quantization.fake_quant_with_min_max_args(inputs, low, high, STORED_BITS)

        return self._after_delay(inputs, rounded, weights['step'], training)


class OutputQuantizer(Delayed):
    """Asymmetric, with one range per tensor, a moving average in training."""

    def build(self, tensor_shape: Any, name: str, layer: keras.layers.Layer) -> dict[str, tf.Variable]:
        limits = {
            key: layer.add_weight(
                f'{name}_{key}', shape=(), trainable=False, initializer=keras.initializers.Constant(value)
            )
            for key, value in (('min', 0.0), ('max', 6.0))
        }
        return {**limits, 'step': layer.optimizer_step}

    def __call__(self, inputs: tf.Tensor, training: bool, weights: dict[str, tf.Variable], **kwargs: Any) -> tf.Tensor:
        limits = [weights['min'], weights['max']]
        if training:
            limits = self._follow(tf.stop_gradient(inputs), *limits)
        limits = [limits[0], tf.maximum(limits[1], limits[0] + self.simulation.least)]
        if not self.simulation.is_stored:
            limits = as_converted(*limits)

        def rounded() -> tf.Tensor:
            return tf.quantization.fake_quant_with_min_max_vars(inputs, *limits, self.simulation.activation_bits)

        return self._after_delay(inputs, rounded, weights['step'], training)

    def _follow(self, values: tf.Tensor, low: tf.Variable, high: tf.Variable) -> list[tf.Tensor]:
        lowest, highest = tf.minimum(tf.reduce_min(values), 0), tf.maximum(tf.reduce_max(values), 0)
        # A batch of zeros, such as the outputs of a ReLU that is never active, is ignored: it would shrink the range
        # until it is too narrow for the file.
        share = tf.where(lowest < highest, 1 - RANGE_DECAY, 0.0)
        new_high = high.assign((1 - share) * high + share * highest)
        if self.simulation.positive:
            return [tf.constant(0.0), new_high]
        return [low.assign((1 - share) * low + share * lowest), new_high]


def as_converted(low: tf.Tensor, high: tf.Tensor) -> list[tf.Tensor]:
    """The range (low, high) as it will be in the file."""
    is_narrow = high - low <= NARROWEST
    return [
        tf.where(is_narrow, tf.minimum(low, -NARROWEST), low),
        tf.where(is_narrow, tf.maximum(high, NARROWEST), high),
    ]


class SimulationConfig(QuantizeConfig):
    """Defines the quantized weights and outputs for the wrapper of TensorFlow Model Optimization."""

    def __init__(self, simulation: Simulation):
        self.simulation = simulation

    def get_weights_and_quantizers(self, layer: keras.layers.Layer) -> list[tuple[Any, Quantizer]]:
        name = self.simulation.kernel
        return [(getattr(layer, name), KernelQuantizer(self.simulation))] if name else []

    def set_quantize_weights(self, layer: keras.layers.Layer, quantize_weights: Sequence[tf.Tensor]) -> None:
        if self.simulation.kernel:
            setattr(layer, self.simulation.kernel, *quantize_weights)

    def get_activations_and_quantizers(self, layer: keras.layers.Layer) -> list[tuple[Any, Quantizer]]:
        return []

    def set_quantize_activations(self, layer: keras.layers.Layer, quantize_activations: Sequence[Any]) -> None:
        """Does nothing: activations are separate layers, or part of the output that is rounded."""
        assert not quantize_activations

    def get_output_quantizers(self, layer: keras.layers.Layer) -> list[Quantizer]:
        if not self.simulation.output:
            return []
        return [FixedQuantizer(self.simulation) if self.simulation.fixed else OutputQuantizer(self.simulation)]

    def get_config(self) -> dict[str, Any]:
        return dataclasses.asdict(self.simulation)


def may_need_autograph(layer: keras.layers.Layer) -> bool:
    """Whether AutoGraph has to convert conditions and loops over tensors in the layer's code.

    Layers of Keras, which AutoGraph leaves as they are, and of this package have none; to convert the wrapper around
    them takes a third of the time in which it is traced.
    """
    return type(layer).__module__.split('.')[0] not in ('pocketflow', 'tf_keras')


@keras.saving.register_keras_serializable(package='PocketFlow')
class QuantizedLayer(QuantizeWrapperV2):
    """A wrapper that rounds the kernel and output of its inner layer as in int8 arithmetic, under the same name."""

    simulates_quantization = True

    def __init__(self, layer: keras.layers.Layer, simulation: Simulation | dict[str, Any], **kwargs: Any):
        self.simulation = simulation if isinstance(simulation, Simulation) else Simulation(**simulation)
        super().__init__(layer, SimulationConfig(self.simulation), **{'name': layer.name, **kwargs})

    def get_config(self) -> dict[str, Any]:
        layer = keras.saving.serialize_keras_object(self.layer)
        layer.pop('build_config', None)  # the wrapper builds the layer; otherwise weights would be listed twice
        return {'name': self.name, 'layer': layer, 'simulation': dataclasses.asdict(self.simulation)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> QuantizedLayer:
        return cls(keras.saving.deserialize_keras_object(config['layer']), config['simulation'], name=config['name'])

    def call(self, inputs: Any, training: Any = None, **kwargs: Any) -> Any:
        """Calls the inner layer; in inference with the bias as it is stored in the file."""
        compute = self._compute
        if not may_need_autograph(self.layer):
            compute = tf.autograph.experimental.do_not_convert(compute)
        return compute(inputs, training, **kwargs)

    def _compute(self, inputs: Any, training: Any, **kwargs: Any) -> Any:
        training = keras.backend.learning_phase() if training is None else training
        compute = functools.partial(super().call, training=training, **kwargs)
        if tf.is_tensor(training) or training or self.simulation.is_stored:
            return compute(inputs)
        scale = norm_input_scale(self)
        if scale is not None:
            return compute(inputs + shift_for(self.layer, 0.0, scale / largest_symmetric_code(STORED_BITS)))
        source = input_scale(self) if self.simulation.kernel else None
        if source is None:
            return compute(inputs)
        kernel, quantizer, _ = self._weight_vars[0]
        step, bias, norm = source * quantizer.scales(kernel), getattr(self.layer, 'bias', None), folding_norm(self)
        if norm is not None:
            return compute(inputs) + shift_for(norm, 0.0 if bias is None else bias, step)
        if bias is None:
            return compute(inputs)
        # Without Keras' attribute tracking, which would remove the replaced variable from the weights.
        object.__setattr__(self.layer, 'bias', as_stored(bias, step))
        try:
            return compute(inputs)
        finally:
            object.__setattr__(self.layer, 'bias', bias)

    def output_scale(self) -> tf.Tensor:
        """The scale of the output in the file."""
        if self.simulation.fixed:
            low, high = map(tf.constant, FIXED_RANGES[self.simulation.fixed])
        else:
            low, high = (self._output_quantizer_vars[key] for key in ('min', 'max'))
            low, high = as_converted(low, tf.maximum(high, low + self.simulation.least))
        return (high - low) / (2**self.simulation.activation_bits - 1)

    @property
    def kernel_variable(self) -> tf.Variable | None:
        """The trained kernel; the attribute of the inner layer is the rounded one."""
        return self._weight_vars[0][0] if self._weight_vars else None

    def rounded_kernel(self) -> tf.Tensor:
        """The kernel as stored in the int8 file, in float32."""
        kernel, quantizer, _ = self._weight_vars[0]
        return quantizer.rounded(kernel)

    @property
    def range(self) -> tuple[float, float]:
        """(low, high) of the output."""
        if self.simulation.fixed:
            return FIXED_RANGES[self.simulation.fixed]
        low, high = (float(self._output_quantizer_vars[key]) for key in ('min', 'max'))
        return low, max(high, low + self.simulation.least)

    def set_range(self, low: float, high: float) -> None:
        """Sets the range of the output."""
        self._output_quantizer_vars['min'].assign(low)
        self._output_quantizer_vars['max'].assign(high)


@keras.saving.register_keras_serializable(package='PocketFlow')
class InputQuantization(keras.layers.Layer):
    """An identity layer behind an input, or a layer of several arguments, whose wrapper rounds their output."""


@keras.saving.register_keras_serializable(package='PocketFlow')
class FreezingBatchNormalization(keras.layers.BatchNormalization):
    """A batch norm that, after `delay` training steps, uses fixed moving statistics instead of batch statistics."""

    def __init__(self, delay: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.delay = delay

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.optimizer_step = self.add_weight(
            'optimizer_step', shape=(), dtype=tf.int32, trainable=False, initializer=keras.initializers.Constant(-1)
        )

    def call(self, inputs: tf.Tensor, training: Any = None) -> tf.Tensor:
        if training in (None, False, 0):
            return super().call(inputs, training=False)
        if not self.delay:
            return super().call(inputs, training=False)
        return super().call(inputs, training=self.optimizer_step < self.delay)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), 'delay': self.delay}
