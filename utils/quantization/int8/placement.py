"""Placement of quantization: the kernels that are stored and the tensors that are written in int8 arithmetic.

A runtime computes convolution, batch norm and ReLU in one operation and rounds once, at its end, so the simulation
rounds in these places only. The outputs of pooling, padding and reshaping have the scale of their inputs. The rules are
those of the int8 kernels of TensorFlow Lite (https://ai.google.dev/edge/litert/models/quantization_spec).
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.graph import nodes_in_order
from pocketflow.utils.graph.channel_select import ChannelSelect
from pocketflow.utils.graph.preprocessing import AUGMENTATIONS
from pocketflow.utils.quantization.int8.inspect import unwrapped

_k = keras.layers
_FOLDS_NORM = (_k.Conv2D, _k.DepthwiseConv2D, ChannelSelect)
"""Layers into which a batch norm is fused."""
_FUSES_RELU = (*_FOLDS_NORM, _k.Dense, _k.Add, _k.Subtract, _k.Multiply)
"""Layers into which a ReLU is fused, besides batch norms."""
_OPERATORS = ('__operators__.add', 'math.add', 'math.subtract', 'math.multiply')
"""Operators of TensorFlow into which a ReLU is fused, as in `x + 3.0`."""
_SAME_SCALE = (
    _k.MaxPooling2D,
    _k.AveragePooling2D,
    _k.GlobalMaxPooling2D,
    _k.Flatten,
    _k.Reshape,
    _k.Permute,
    _k.ZeroPadding2D,
    _k.Cropping2D,
    _k.Dropout,
    _k.SpatialDropout2D,
    _k.GaussianNoise,
    _k.GaussianDropout,
    _k.ActivityRegularization,
    _k.InputLayer,
    *AUGMENTATIONS,
)
"""Layers that compute no new values, and so need no separate range."""
FIXED_RANGES = {'softmax': (0.0, 255 / 256), 'sigmoid': (0.0, 255 / 256), 'tanh': (-1.0, 127 / 128)}
"""(low, high) of activations for which the runtime accepts only one scale: 1/256, or 1/128."""
KERNELS = {
    _k.Conv2D: 'kernel',
    _k.DepthwiseConv2D: 'depthwise_kernel',
    _k.Dense: 'kernel',
    _k.Conv2DTranspose: 'kernel',
}
"""Layer type -> the attribute of its kernel."""


@dataclasses.dataclass(frozen=True)
class Place:
    """The quantization of one layer.

    Attributes:
      kernel: the attribute of the kernel to be rounded, or `None`.
      output: whether the output is rounded.
      positive: whether the output is never negative.
      fixed: the activation in `FIXED_RANGES` that determines the range of the output, or `None`.
    """

    kernel: str | None
    output: bool
    positive: bool = False
    fixed: str | None = None


class Flow:
    """Producer and consumers of each tensor of a functional model; wrappers are replaced by their inner layers."""

    def __init__(self, model: keras.Model):
        self.nodes = nodes_in_order(model)
        self._writers: dict[int, keras.layers.Layer] = {}
        self._readers: dict[int, list[keras.layers.Layer | None]] = defaultdict(list)
        for node in self.nodes:
            for tensor in tf.nest.flatten(node.outputs):
                self._writers[id(tensor)] = unwrapped(node.layer)
            for tensor in node.keras_inputs if not node.is_input else ():
                self._readers[id(tensor)].append(unwrapped(node.layer))
        for tensor in model.outputs:
            self._readers[id(tensor)].append(None)

    def writer(self, tensor: Any) -> keras.layers.Layer:
        return self._writers[id(tensor)]

    def only_reader(self, tensor: Any) -> keras.layers.Layer | None:
        """The only layer that reads the tensor; `None` if there are several, or if it is an output of the model."""
        readers = self._readers[id(tensor)]
        return readers[0] if len(readers) == 1 else None


def activation_name(layer: keras.layers.Layer) -> str:
    """Name of a layer's activation; 'linear' if it has none."""
    activation = getattr(layer, 'activation', None)
    return 'linear' if activation is None else getattr(activation, '__name__', type(activation).__name__)


def is_relu(layer: keras.layers.Layer) -> bool:
    """Whether the layer is a ReLU or ReLU6 without leak or threshold."""
    if type(layer) is _k.ReLU:
        return not layer.negative_slope and not layer.threshold and layer.max_value in (None, 6)
    return type(layer) is _k.Activation and activation_name(layer) in ('relu', 'relu6')


def is_norm_of_channels(layer: keras.layers.Layer) -> bool:
    """Whether the layer is a batch norm over the last axis, which can be fused into the operation before."""
    return isinstance(layer, _k.BatchNormalization) and list(layer.axis) == [layer.input_spec.ndim - 1]


def _is_computed_with(layer: keras.layers.Layer, reader: keras.layers.Layer | None) -> bool:
    """Whether the runtime fuses the layer with its only reader, so that nothing is rounded in between."""
    if isinstance(layer, _k.BatchNormalization):
        return reader is not None and is_relu(reader)
    if reader is None or activation_name(layer) != 'linear':
        return False
    if isinstance(reader, _k.BatchNormalization):
        return norm_behind(layer, reader) is not None
    return is_relu(reader) and (type(layer) in _FUSES_RELU or getattr(layer, 'symbol', None) in _OPERATORS)


def norm_behind(layer: keras.layers.Layer, reader: keras.layers.Layer | None) -> keras.layers.BatchNormalization | None:
    """The only reader of a layer, if it is a batch norm that the runtime fuses into the layer."""
    is_norm = isinstance(reader, _k.BatchNormalization) and is_norm_of_channels(reader)
    return reader if is_norm and type(layer) in _FOLDS_NORM and activation_name(layer) == 'linear' else None


def norms_without_kernel(model: keras.Model) -> dict[str, ChannelSelect | None]:
    """The batch norms on feature maps that cannot be fused into a layer with a kernel.

    Returns:
      Name of the batch norm -> the channel select with which it is fused, if there is one.
    """
    flow = Flow(model)
    norms: dict[str, ChannelSelect | None] = {}
    for node in flow.nodes:
        if is_norm_of_channels(unwrapped(node.layer)) and len(node.outputs.shape) == 4:
            tensor = node.keras_inputs[0]
            writer = flow.writer(tensor)
            if not _is_computed_with(writer, flow.only_reader(tensor)):
                norms[node.layer.name] = None
            elif isinstance(writer, ChannelSelect):
                norms[node.layer.name] = writer
    return norms


def places(model: keras.Model) -> dict[str, Place]:
    """The quantization of each layer, by name, in the order of execution; without inputs and layers that do not round.

    Args:
      model: a functional model whose layers are plain.
    """
    flow = Flow(model)
    result: dict[str, Place] = {}
    for node in flow.nodes:
        layer = node.layer
        place = Place(KERNELS.get(type(layer)), _rounds_output(flow, node), _is_positive(layer), _fixed_range(layer))
        known = result.get(layer.name, place)
        result[layer.name] = dataclasses.replace(place, output=place.output or known.output)
    return {name: place for name, place in result.items() if place.kernel or place.output}


def _rounds_output(flow: Flow, node: Any) -> bool:
    layer, outputs = node.layer, tf.nest.flatten(node.outputs)
    if len(outputs) != 1 or not outputs[0].dtype.is_floating or keeps_scale(layer, outputs[0]):
        return False
    if _fixed_range(layer):
        return True
    reader = flow.only_reader(outputs[0])
    # A concatenation and the inputs that only it reads share one range, so that it need not rescale values.
    return not (isinstance(reader, _k.Concatenate) or _is_computed_with(layer, reader))


def keeps_scale(layer: keras.layers.Layer, output: Any) -> bool:
    """Whether the scale of the layer's output is that of its input."""
    if type(layer) is _k.Activation:
        return activation_name(layer) == 'linear'
    if isinstance(layer, ChannelSelect):
        return len(output.shape) != 4
    if isinstance(layer, _k.UpSampling2D):
        return bool(layer.interpolation == 'nearest')
    return isinstance(layer, _SAME_SCALE)


def _fixed_range(layer: keras.layers.Layer) -> str | None:
    if type(layer) is _k.Softmax:
        return 'softmax'
    name = activation_name(layer)
    return name if type(layer) is _k.Activation and name in FIXED_RANGES else None


def _is_positive(layer: keras.layers.Layer) -> bool:
    return is_relu(layer) or activation_name(layer) in ('relu', 'relu6')
