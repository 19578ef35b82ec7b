"""Rewrites a model so that each layer has at most one kernel, and is rounded at its output only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import Call, rebuild
from pocketflow.utils.quantization.int8.placement import Flow, activation_name, is_norm_of_channels

_k = keras.layers
_FUSED = ('linear', 'relu', 'relu6')
"""Activations that may stay within a layer with a kernel."""
_SWISH = ('swish', 'silu')
_PAIRWISE = (_k.Add, _k.Multiply)
"""Layers whose int8 operations have two operands."""

IN_FLOAT = (_k.MultiHeadAttention, _k.Attention, _k.AdditiveAttention, _k.RNN, _k.Wrapper)
"""Layers with weights or products without an int8 operation, for which the conversion fails."""

Assign = Callable[[], None]


def prepare(model: keras.Model) -> keras.Model:
    """A copy of the model with a simpler structure and the same outputs in inference.

    Separable convolutions become a depthwise and a pointwise one, sums and products of several tensors become chains of
    two at a time, activations other than ReLU become separate layers, a swish becomes a product with a sigmoid, and
    batch norms behind dense layers are folded into these (no int8 operation fuses the two).

    Raises:
      UsageError: the model is not functional, or has a model, or another layer of layers, among its layers.
    """
    check_layers(model)
    norms = _norms_behind_dense(model)
    folded = {norm.name for norm in norms.values()}
    pending: list[Assign] = []

    def edit(layer: keras.layers.Layer, copy: keras.layers.Layer) -> Call:
        if layer.name in folded:
            return lambda inputs, **_: inputs  # the call may have a `training` argument
        if layer.name in norms:
            return _dense_with_norm(layer, norms[layer.name], pending)
        if type(layer) is _k.SeparableConv2D:
            return _separated(layer, pending)
        if type(layer) in _PAIRWISE and len(layer.inbound_nodes[0].keras_inputs) > 2:
            return _pairwise(layer)
        if getattr(layer, 'kernel', None) is not None and activation_name(layer) not in _FUSED:
            return _with_activation_apart(layer, pending)
        if type(layer) is _k.Activation and activation_name(layer) in _SWISH:
            return _swish(layer.name)
        return copy

    result = rebuild(model, edit)
    for assign in pending:
        assign()
    return result


def check_layers(model: keras.Model) -> None:
    """Rejects layers whose int8 arithmetic cannot be simulated.

    Raises:
      UsageError: there is such a layer; the message names it.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            raise UsageError(
                f'layer {layer.name!r} of model {model.name!r} is itself a model, within which int8 '
                'arithmetic cannot be simulated; build the network as one functional model'
            )
        if isinstance(layer, IN_FLOAT):
            raise UsageError(
                f'layer {layer.name!r} of model {model.name!r} is a {type(layer).__name__}, whose int8 '
                'arithmetic cannot be simulated; choose another learner, with --export_formats=dynamic'
            )


def _norms_behind_dense(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Name of a linear dense layer -> the batch norm that is its only reader."""
    flow = Flow(model)
    pairs = {}
    for node in flow.nodes:
        if (
            type(node.layer) is _k.BatchNormalization
            and is_norm_of_channels(node.layer)
            and len(node.layer.inbound_nodes) == 1
        ):
            dense, tensor = flow.writer(node.keras_inputs[0]), node.keras_inputs[0]
            if (
                type(dense) is _k.Dense
                and activation_name(dense) == 'linear'
                and len(dense.inbound_nodes) == 1
                and flow.only_reader(tensor) is node.layer
            ):
                pairs[dense.name] = node.layer
    return pairs


def _dense_with_norm(dense: keras.layers.Dense, norm: keras.layers.BatchNormalization, pending: list[Assign]) -> Call:
    merged = _k.Dense.from_config({**dense.get_config(), 'use_bias': True})
    scale, offset = norm_as_affine(norm)

    def assign() -> None:
        bias = dense.bias.numpy() if dense.use_bias else 0.0
        merged.set_weights([dense.kernel.numpy() * scale, bias * scale + offset])

    pending.append(assign)
    return merged


def norm_as_affine(norm: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """(scale, offset), each `[channels]`, of a batch norm in inference, which computes `scale * x + offset`."""
    scale = 1 / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    if norm.scale:
        scale = scale * norm.gamma.numpy()
    offset = -norm.moving_mean.numpy() * scale
    return scale, offset + norm.beta.numpy() if norm.center else offset


def _separated(layer: keras.layers.SeparableConv2D, pending: list[Assign]) -> Call:
    depthwise = _k.DepthwiseConv2D(
        layer.kernel_size,
        layer.strides,
        layer.padding,
        layer.depth_multiplier,
        dilation_rate=layer.dilation_rate,
        use_bias=False,
        name=f'{layer.name}_depthwise',
    )
    pointwise = _k.Conv2D(layer.filters, 1, use_bias=layer.use_bias, name=layer.name)

    def assign() -> None:
        weights = layer.get_weights()
        depthwise.set_weights(weights[:1])
        pointwise.set_weights(weights[1:])

    pending.append(assign)
    activate = _activation(layer)
    return lambda inputs: activate(pointwise(depthwise(inputs)))


def _pairwise(layer: keras.layers.Layer) -> Call:
    num_steps = len(layer.inbound_nodes[0].keras_inputs) - 1
    names = [*(f'{layer.name}_step{number}' for number in range(1, num_steps)), layer.name]
    steps = [type(layer)(name=name) for name in names]

    def call(tensors: Sequence[object]) -> object:
        result = tensors[0]
        for step, tensor in zip(steps, tensors[1:], strict=True):
            result = step([result, tensor])
        return result

    return call


def _with_activation_apart(layer: keras.layers.Layer, pending: list[Assign]) -> Call:
    linear = type(layer).from_config({**layer.get_config(), 'activation': 'linear'})
    pending.append(lambda: linear.set_weights(layer.get_weights()))
    activate = _activation(layer)
    return lambda *args, **kwargs: activate(linear(*args, **kwargs))


def _activation(layer: keras.layers.Layer) -> Call:
    """The activation of a layer, as separate layers."""
    name = f'{layer.name}_activation'
    if activation_name(layer) == 'linear':
        return lambda outputs: outputs
    return _swish(name) if activation_name(layer) in _SWISH else _k.Activation(layer.activation, name=name)


def _swish(name: str) -> Call:
    """`x * sigmoid(x)` in two layers, since the runtime rounds the sigmoid and the product."""
    gate, product = _k.Activation('sigmoid', name=f'{name}_sigmoid'), _k.Multiply(name=name)
    return lambda inputs: product([inputs, gate(inputs)])
