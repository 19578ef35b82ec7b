"""Conversions of plain models to models with fake quantization, and back to plain models with decoded kernels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.graph import Call, nodes_in_order, output_extremes, rebuild
from pocketflow.utils.quantization.encoding import Encoding, known_kernel_name
from pocketflow.utils.quantization.layers import QUANTIZED, QuantizeActivation, QuantizedKernel
from pocketflow.utils.quantization.limits import FULL_BITS
from pocketflow.utils.quantization.quantizers import CodebookQuantizer, Quantizer
from pocketflow.utils.tasks.nests import Nest

Layer: TypeAlias = keras.layers.Layer
_k = keras.layers

_WITH_ACTIVATION = (
    _k.Activation,
    _k.Dense,
    _k.Conv1D,
    _k.Conv2D,
    _k.Conv3D,
    _k.DepthwiseConv1D,
    _k.DepthwiseConv2D,
    _k.SeparableConv1D,
    _k.SeparableConv2D,
)
_QUANTIZED_ACTIVATIONS = frozenset(
    {
        keras.activations.relu,
        keras.activations.tanh,
        keras.activations.sigmoid,
        keras.activations.softplus,
        tf.nn.relu,
        tf.nn.relu6,
        tf.nn.tanh,
        tf.nn.sigmoid,
        tf.nn.softplus,
    }
)
BATCH_SIZE = 100


def layers_in_order(model: keras.Model) -> list[Layer]:
    """The layers of a functional model, inputs excepted, in the order in which they are first called."""
    return list({id(node.layer): node.layer for node in nodes_in_order(model) if not node.is_input}.values())


def quantizable_layers(model: keras.Model) -> list[Layer]:
    """The layers whose kernels can be quantized: Conv2D, DepthwiseConv2D and Dense, in order."""
    return [layer for layer in layers_in_order(model) if type(layer) in QUANTIZED]


def unquantizable_layers(model: keras.Model) -> dict[str, str]:
    """Other layers with kernels -> the reason why they stay in full precision."""
    return {
        layer.name: f'{type(layer).__name__} is not quantized'
        for layer in layers_in_order(model)
        if type(layer) not in QUANTIZED and any('kernel' in weight.name.split('/')[-1] for weight in layer.weights)
    }


def activation_layers(model: keras.Model) -> list[Layer]:
    """The layers that end in a ReLU, ReLU6, tanh, sigmoid or softplus, in order."""
    return [
        layer
        for layer in layers_in_order(model)
        if isinstance(layer, _k.ReLU) or (isinstance(layer, _WITH_ACTIVATION) and _is_quantized(layer.activation))
    ]


def _is_quantized(activation: Any) -> bool:
    try:
        return activation in _QUANTIZED_ACTIVATIONS
    except TypeError:  # an unhashable callable
        return False


def activation_ranges(model: keras.Model, images: Nest) -> dict[str, tuple[float, float]]:
    """The (least, greatest) output of each of the `activation_layers`: means over batches of images.

    Args:
      model: a functional model; it runs in inference mode.
      images: [N, ...], the inputs.
    """
    names = [layer.name for layer in activation_layers(model)]
    means = output_extremes(model, names, images, BATCH_SIZE).mean(axis=0)
    return {name: (float(low), float(high)) for name, (low, high) in zip(names, means, strict=True)}


def quantized_copy(
    model: keras.Model,
    quantizers: Mapping[str, Quantizer],
    activation_bits: int = FULL_BITS,
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> keras.Model:
    """A copy of a functional model with fake quantization.

    Args:
      model: a functional model of plain layers, pruned or not.
      quantizers: layer name -> the quantizer of its kernel, for some of the `quantizable_layers`; its code books, if it
        has any, are fitted to the kernel.
      activation_bits: 2..32 for the outputs of the `activation_layers`; 32 quantizes nothing.
      ranges: initial ranges of activations, a result of `activation_ranges`; required for fewer than 32 bits.

    Returns:
      A model of the same name and layer names, with a `QuantizeActivation` named LAYER_quantize after activations.
    """
    replaced = {name: _quantized_layer(model.get_layer(name), quantizer) for name, quantizer in quantizers.items()}
    activations = {}
    if activation_bits < FULL_BITS:
        activations = {
            layer.name: QuantizeActivation(activation_bits, name=f'{layer.name}_quantize')
            for layer in activation_layers(model)
        }

    def edit(layer: Layer, copy: Layer) -> Call:
        if activations and isinstance(layer, QuantizeActivation):
            return _nothing  # activation quantizers of an earlier quantization are removed
        new = replaced.get(layer.name, copy)
        return _one_after_the_other(new, activations[layer.name]) if layer.name in activations else new

    result = rebuild(model, edit)
    for name, layer in replaced.items():
        _copy_plain_weights(model.get_layer(name), layer)
        if isinstance(layer.quantizer, CodebookQuantizer):
            layer.quantizer.reset(layer.kernel_variable.numpy())
    for name, layer in activations.items():
        low, high = (ranges or {})[name]
        layer.set_range(low, high)
    return result


def _quantized_layer(layer: Layer, quantizer: Quantizer) -> QuantizedKernel:
    quantized: QuantizedKernel = QUANTIZED[type(layer)].from_config({**layer.get_config(), 'quantizer': quantizer})
    return quantized


def _nothing(tensor: Any, **kwargs: Any) -> Any:
    return tensor


def _one_after_the_other(first: Call, second: Call) -> Call:
    return lambda *args, **kwargs: second(first(*args, **kwargs))


def _copy_plain_weights(source: Layer, target: Layer) -> None:
    """Copies kernel and bias."""
    for name in (known_kernel_name(source), 'bias'):
        if getattr(source, name, None) is not None:
            getattr(target, name).assign(getattr(source, name))


def quantized_layers(model: keras.Model) -> list[QuantizedKernel]:
    """The layers of a model whose kernels are quantized, in order."""
    return [layer for layer in layers_in_order(model) if isinstance(layer, QuantizedKernel)]


def codebook_variables(model: keras.Model) -> list[tf.Variable]:
    """The variables of all code books of a model."""
    return [
        layer.quantizer.codebooks for layer in quantized_layers(model) if isinstance(layer.quantizer, CodebookQuantizer)
    ]


def excluding(variables: Iterable[tf.Variable], excluded: Sequence[tf.Variable]) -> list[tf.Variable]:
    """The variables that are not among the excluded ones."""
    known = {id(variable) for variable in excluded}
    return [variable for variable in variables if id(variable) not in known]


def strip_quantization(model: keras.Model) -> tuple[keras.Model, dict[str, Encoding]]:
    """Converts a model with fake quantization to a plain model.

    Returns:
      A model of plain layers with the same names, and encodings by layer name: a layer's kernel equals its decoded
      encoding exactly. Activation quantizers are kept, unless they have 32 bits.
    """
    encodings = {layer.name: layer.encode() for layer in quantized_layers(model)}
    plain = {layer.name: layer.plain_class.from_config(layer.plain_config()) for layer in quantized_layers(model)}

    def edit(layer: Layer, copy: Layer) -> Call:
        if isinstance(layer, QuantizeActivation) and int(layer.quantizer.bits) == FULL_BITS:
            return _nothing
        return plain.get(layer.name, copy)

    result = rebuild(model, edit)
    for name, layer in plain.items():
        _copy_plain_weights(model.get_layer(name), layer)
        getattr(layer, known_kernel_name(layer)).assign(encodings[name].decode())
    return result, encodings
