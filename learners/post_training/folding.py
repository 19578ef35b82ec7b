"""Brings a network into the form in which it is rounded: linear layers with biases, and no batch norm behind a layer.

The result computes the same as the network in inference. It is what the file computes anyway: the converter of
TensorFlow Lite folds batch norms into the convolution before them, and fuses activations with it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tf_keras as keras
from numpy.typing import NDArray

from pocketflow.utils.graph import Call, rebuild
from pocketflow.utils.quantization.int8.placement import KERNELS, Flow, activation_name, norm_behind
from pocketflow.utils.quantization.int8.prepare import norm_as_affine, prepare

_k = keras.layers
_FOLDS = (_k.Conv2D, _k.DepthwiseConv2D)

Array = NDArray[np.float32]


def folded(model: keras.Model) -> keras.Model:
    """A copy of a model in which each layer with a kernel has a bias and no activation, and batch norms are folded.

    Batch norms that follow another layer, as in residual networks with pre-activation, stay.

    Raises:
      UsageError: the model has layers whose int8 arithmetic cannot be simulated.
    """
    prepared = prepare(model)
    norms = _norms_behind(prepared)
    gone = {norm.name for norm in norms.values()}
    pending: list[Callable[[], None]] = []

    def edit(layer: keras.layers.Layer, copy: keras.layers.Layer) -> Call:
        if layer.name in gone:
            return lambda inputs, **_: inputs
        if type(layer) not in KERNELS:
            return copy
        linear = type(layer).from_config({**layer.get_config(), 'use_bias': True, 'activation': 'linear'})
        pending.append(lambda: linear.set_weights(_weights(layer, norms.get(layer.name))))
        if activation_name(layer) == 'linear':
            return linear
        activation = _k.Activation(layer.activation, name=f'{layer.name}_activation')
        return lambda inputs, **_: activation(linear(inputs))

    result = rebuild(prepared, edit)
    for assign in pending:
        assign()
    return result


def fold(
    kernel: Array, bias: Array | float, scale: Array, offset: Array, depthwise: bool = False
) -> tuple[Array, Array]:
    """The kernel and the bias that compute `scale * (kernel x + bias) + offset` (Jacob et al. 2018, equation 14).

    Args:
      kernel: `[..., inputs, outputs]`, or for `depthwise` `[height, width, channels, multiplier]`.
      bias, scale, offset: `[outputs]`, or `[channels * multiplier]`.
    """
    factors = scale.reshape(kernel.shape[-2:]) if depthwise else scale
    return kernel * factors, np.asarray(bias * scale + offset, np.float32)


def _norms_behind(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Name of a layer with a kernel -> the batch norm that is folded into it."""
    flow = Flow(model)
    found = {}
    for node in flow.nodes:
        if type(node.layer) in _FOLDS and len(node.layer.inbound_nodes) == 1:
            norm = norm_behind(node.layer, flow.only_reader(node.outputs))
            if norm is not None and len(norm.inbound_nodes) == 1:
                found[node.layer.name] = norm
    return found


def _weights(layer: keras.layers.Layer, norm: keras.layers.Layer | None) -> list[Array]:
    kernel = getattr(layer, KERNELS[type(layer)]).numpy()
    is_depthwise = type(layer) is _k.DepthwiseConv2D
    if layer.use_bias:
        bias = layer.bias.numpy()
    elif is_depthwise:
        bias = np.zeros(kernel.shape[2] * kernel.shape[3], np.float32)
    else:
        bias = np.zeros(kernel.shape[2 if type(layer) is _k.Conv2DTranspose else -1], np.float32)
    return [kernel, bias] if norm is None else [*fold(kernel, bias, *norm_as_affine(norm), is_depthwise)]
