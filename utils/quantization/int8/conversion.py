"""Prepares quantization-aware models for the conversion to int8 files.

The converter of TensorFlow Lite folds a batch norm into the convolution before it. A batch norm that follows an
addition, as in residual networks with pre-activation, would remain as a multiplication and an addition in float. It is
therefore replaced by a depthwise 1x1 convolution, which is one int8 operation, and exact, because each channel has one
weight and a separate scale. So are rescaling and normalization of pixels within the network. A channel select and the
batch norm behind it are replaced by a 1x1 convolution.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.graph import Call, rebuild
from pocketflow.utils.graph.channel_select import ChannelSelect
from pocketflow.utils.graph.preprocessing import channel_map
from pocketflow.utils.quantization.int8.inspect import is_wrapped, unwrapped
from pocketflow.utils.quantization.int8.placement import norms_without_kernel
from pocketflow.utils.quantization.int8.prepare import norm_as_affine
from pocketflow.utils.quantization.int8.wrappers import STORED_BITS, QuantizedLayer, round_symmetric
from pocketflow.utils.quantization.int8.wrapping import copy_weights


class FixedConvolution(keras.layers.Layer):
    """A 1x1 convolution of a feature map with a constant kernel, rounded to int8, and a constant bias.

    Args:
      kernel: `[inputs, outputs]`, or `[channels]` for a depthwise convolution.
      bias: `[outputs]`.
    """

    def __init__(self, kernel: np.ndarray, bias: np.ndarray, name: str):
        super().__init__(name=name)
        self.kernel, self.bias = kernel.astype(np.float32), bias.astype(np.float32)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if self.kernel.ndim == 1:
            kernel = round_symmetric(self.kernel[None, None, :, None], STORED_BITS, per_channel=True, depthwise=True)
            return tf.nn.depthwise_conv2d(inputs, kernel, (1, 1, 1, 1), 'VALID') + self.bias
        kernel = round_symmetric(self.kernel[None, None], STORED_BITS, per_channel=True)
        return tf.nn.conv2d(inputs, kernel, 1, 'VALID') + self.bias


def for_the_converter(model: keras.Model) -> keras.Model:
    """A copy of a quantization-aware model with the same outputs, of layers that the converter can convert to int8.

    Kernels are replaced by the quantized ones, on an 8-bit grid that contains all values of a narrower grid.
    """
    norms = norms_without_kernel(model)
    selects = {select.name for select in norms.values() if select is not None}

    def edit(layer: keras.layers.Layer, copy: keras.layers.Layer) -> Call:
        if layer.name in selects:
            return lambda inputs: inputs
        inner = unwrapped(copy)
        if layer.name in norms:
            inner = _norm_as_convolution(unwrapped(layer), norms[layer.name])
        elif (found := channel_map(unwrapped(layer))) is not None and len(layer.output.shape) == 4:
            inner = FixedConvolution(*found.for_channels(layer.output.shape[-1]), inner.name)
        elif isinstance(inner, ChannelSelect) and len(layer.output.shape) == 4:
            inner = FixedConvolution(_selection(inner), np.zeros(len(inner.indices)), inner.name)
        if is_wrapped(layer):
            return QuantizedLayer(inner, dataclasses.replace(layer.simulation, is_stored=True))
        return copy if inner is unwrapped(copy) else inner

    result = rebuild(model, edit)
    copy_weights(model, result)
    for layer in filter(is_wrapped, result.layers):
        if layer.simulation.kernel:
            layer.kernel_variable.assign(model.get_layer(layer.name).rounded_kernel())
    return result


def _norm_as_convolution(norm: keras.layers.BatchNormalization, select: ChannelSelect | None) -> FixedConvolution:
    scale, offset = norm_as_affine(norm)
    return FixedConvolution(scale if select is None else _selection(select) * scale, offset, norm.name)


def _selection(select: ChannelSelect) -> np.ndarray:
    """The kernel of zeros and ones `[inputs, outputs]` of a channel select."""
    return np.eye(select.num_inputs)[:, list(select.indices)]
