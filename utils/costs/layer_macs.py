"""Multiply-adds of one call of a Keras layer, for one sample.

Layers with kernels and recurrent layers have formulas; layers that are known not to multiply cost nothing; any other
layer (custom layers, operator layers) is traced, and the multiply-adds of its TensorFlow operations are counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.costs.formulas import Shape, additive_attention_macs, kernel_macs, recurrent_macs
from pocketflow.utils.costs.operations import Macs, function_macs
from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import nodes_in_order
from pocketflow.utils.quantization.encoding import KERNEL_NAMES

_k = keras.layers
Layer: TypeAlias = keras.layers.Layer
Dims = tuple[int | None, ...]
"""The shape of a Keras tensor; `None` for an unknown size."""

Inputs = Sequence[Dims]

CONVOLUTIONS = (
    _k.Conv1D,
    _k.Conv2D,
    _k.Conv3D,
    _k.SeparableConv1D,
    _k.SeparableConv2D,
    _k.DepthwiseConv1D,
    _k.DepthwiseConv2D,
)
TRANSPOSED = (_k.Conv1DTranspose, _k.Conv2DTranspose, _k.Conv3DTranspose)
KERNEL_LAYERS = (*CONVOLUTIONS, *TRANSPOSED, _k.Dense)
_CELLS = (_k.SimpleRNNCell, _k.LSTMCell, _k.GRUCell)
_CONV_LSTM = (_k.ConvLSTM1D, _k.ConvLSTM2D, _k.ConvLSTM3D)

FREE_LAYERS = (
    _k.InputLayer,
    _k.Activation,
    _k.ELU,
    _k.LeakyReLU,
    _k.PReLU,
    _k.ReLU,
    _k.Softmax,
    _k.ThresholdedReLU,
    _k.Embedding,
    _k.Identity,
    _k.Masking,
    _k.Add,
    _k.Average,
    _k.Concatenate,
    _k.Maximum,
    _k.Minimum,
    _k.Multiply,
    _k.Subtract,
    _k.BatchNormalization,
    _k.GroupNormalization,
    _k.LayerNormalization,
    _k.UnitNormalization,
    _k.Normalization,
    _k.AveragePooling1D,
    _k.AveragePooling2D,
    _k.AveragePooling3D,
    _k.MaxPooling1D,
    _k.MaxPooling2D,
    _k.MaxPooling3D,
    _k.GlobalAveragePooling1D,
    _k.GlobalAveragePooling2D,
    _k.GlobalAveragePooling3D,
    _k.GlobalMaxPooling1D,
    _k.GlobalMaxPooling2D,
    _k.GlobalMaxPooling3D,
    _k.CenterCrop,
    _k.RandomBrightness,
    _k.RandomContrast,
    _k.RandomCrop,
    _k.RandomFlip,
    _k.RandomHeight,
    _k.RandomRotation,
    _k.RandomTranslation,
    _k.RandomWidth,
    _k.RandomZoom,
    _k.Rescaling,
    _k.Resizing,
    _k.ActivityRegularization,
    _k.AlphaDropout,
    _k.Dropout,
    _k.GaussianDropout,
    _k.GaussianNoise,
    _k.SpatialDropout1D,
    _k.SpatialDropout2D,
    _k.SpatialDropout3D,
    _k.Cropping1D,
    _k.Cropping2D,
    _k.Cropping3D,
    _k.Flatten,
    _k.Permute,
    _k.RepeatVector,
    _k.Reshape,
    _k.UpSampling1D,
    _k.UpSampling2D,
    _k.UpSampling3D,
    _k.ZeroPadding1D,
    _k.ZeroPadding2D,
    _k.ZeroPadding3D,
)
"""Layer types without multiply-adds; layers of subclasses are traced."""

_FREE_SYMBOLS = frozenset(
    (
        'add',
        'subtract',
        'multiply',
        'divide',
        'truediv',
        'neg',
        'maximum',
        'minimum',
        'square',
        'sqrt',
        'rsqrt',
        'exp',
        'log',
        'pow',
        'relu',
        'relu6',
        'leaky_relu',
        'elu',
        'gelu',
        'silu',
        'swish',
        'sigmoid',
        'hard_sigmoid',
        'tanh',
        'softplus',
        'softmax',
        'clip_by_value',
        'cast',
        'identity',
        'stop_gradient',
        'reshape',
        'transpose',
        'expand_dims',
        'squeeze',
        'concat',
        'stack',
        'unstack',
        'split',
        'tile',
        'pad',
        'gather',
        'shape',
        'zeros_like',
        'ones_like',
        'reduce_mean',
        'reduce_sum',
        'reduce_max',
        'reduce_min',
        'getitem',
        'strided_slice',
        'where',
        'broadcast_to',
    )
)
"""Last parts of the names of TensorFlow functions without multiply-adds, which need not be traced."""


def is_free(layer: Layer) -> bool:
    """Whether the type of a layer is known to take no multiply-adds."""
    if type(layer) in FREE_LAYERS:
        return True
    symbol = getattr(layer, 'symbol', None)  # of an operator layer: the name of its function, `math.multiply`
    return isinstance(symbol, str) and symbol.rsplit('.', 1)[-1] in _FREE_SYMBOLS


def node_macs(node: Any) -> Macs:
    """Multiply-adds of the call recorded in the Keras node `node`.

    Raises:
      UsageError: a size in a formula is unknown.
    """
    inputs = [tuple(tensor.shape) for tensor in node.keras_inputs]
    specs = {id(tensor): _spec(tensor) for tensor in node.keras_inputs}
    arguments = tf.nest.map_structure(lambda value: specs.get(id(value), value), (node.call_args, node.call_kwargs))
    return layer_macs(node.layer, inputs, tuple(tf.nest.flatten(node.outputs)[0].shape), *arguments)


def layer_macs(layer: Layer, inputs: Inputs, output: Dims, args: Any = None, kwargs: Any = None) -> Macs:
    """Multiply-adds of one call of a layer or of a model inside a model.

    Args:
      layer: the layer.
      inputs, output: the shapes of its tensors, the batch first.
      args, kwargs: the arguments of the call, with `tf.TensorSpec` in place of tensors; default: the inputs.
    """
    if is_free(layer):
        return Macs()
    if getattr(layer, '_nodes_by_depth', None):  # a functional model
        return sum(map(node_macs, nodes_in_order(layer)), Macs())
    for kinds, formula in _FORMULAS:
        if isinstance(layer, kinds):
            return formula(layer, inputs, output)
    if args is None:
        specs = [tf.TensorSpec((1, *shape[1:])) for shape in inputs]
        args = (specs[0] if len(specs) == 1 else specs,)
    return _traced(layer, args, kwargs or {})


def _spec(tensor: Any) -> tf.TensorSpec:
    """The `tf.TensorSpec` of a Keras tensor, for one sample."""
    shape = tuple(tensor.shape)
    return tf.TensorSpec((1, *shape[1:]) if shape and shape[0] is None else shape, tensor.dtype)


def _traced(layer: Layer, args: Any, kwargs: Any) -> Macs:
    try:
        return function_macs(layer, args, kwargs)
    finally:
        layer._clear_losses()  # losses that were added while tracing are tensors of the trace


def num_positions(layer: Layer, shape: Dims) -> int:
    """Number of positions of a feature map or sequence of `shape`, without batch and channels.

    Raises:
      UsageError: a size is unknown.
    """
    channels_first = getattr(layer, 'data_format', 'channels_last') == 'channels_first'
    return _product(layer, shape, shape[2:] if channels_first else shape[1:-1])


def _product(layer: Layer, shape: Dims, sizes: Dims) -> int:
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        raise UsageError(
            f'the cost of layer {layer.name!r} depends on a size that is unknown: its feature map has the'
            f' shape {shape}; build the model with a fixed input size'
        )
    return math.prod(known)


def kernel_shapes(layer: Layer) -> dict[str, tuple[int, ...]]:
    """Attribute -> shape of the kernels of a layer of `KERNEL_LAYERS`."""
    present = (name for name in KERNEL_NAMES if getattr(layer, name, None) is not None)
    return {name: tuple(getattr(layer, name).shape) for name in present}


def kernel_layer_macs(layer: Layer, kernels: Sequence[Shape], first_input: Dims, output: Dims) -> int:
    """Multiply-adds of one of `KERNEL_LAYERS` with kernels of these shapes."""
    return kernel_macs(kernels, num_positions(layer, first_input if isinstance(layer, TRANSPOSED) else output))


def _kernels(layer: Layer, inputs: Inputs, output: Dims) -> Macs:
    return Macs(kernel_layer_macs(layer, list(kernel_shapes(layer).values()), inputs[0], output))


def _shapes(*variables: tf.Variable) -> list[tuple[int, ...]]:
    return [tuple(variable.shape) for variable in variables]


def _cell(cell: Layer, inputs: Inputs, output: Dims) -> Macs:
    return Macs(recurrent_macs(_shapes(cell.kernel, cell.recurrent_kernel), 1))


def _stacked_cells(layer: Layer, inputs: Inputs, output: Dims) -> Macs:
    return sum((_cell_macs(cell) for cell in layer.cells), Macs())


def _cell_macs(cell: Layer) -> Macs:
    """Multiply-adds of one step of a cell."""
    if isinstance(cell, _k.StackedRNNCells):
        return _stacked_cells(cell, [], ())
    return _cell(cell, [], ()) if isinstance(cell, _CELLS) else Macs(0, (type(cell).__name__,))


def _recurrent(layer: Layer, inputs: Inputs, output: Dims) -> Macs:
    steps = inputs[0][0 if layer.time_major else 1]
    return _cell_macs(layer.cell).times(_product(layer, inputs[0], (steps,)))


def _conv_lstm(layer: Layer, inputs: Inputs, output: Dims) -> Macs:
    """Each step convolves the input, with the layer's strides and padding, and the state."""
    rank = len(layer.kernel_size)
    places = output[-rank:] if layer.data_format == 'channels_first' else output[-1 - rank : -1]
    kernels = _shapes(layer.cell.kernel, layer.cell.recurrent_kernel)
    step = Macs(recurrent_macs(kernels, _product(layer, output, places)))
    return step.times(_product(layer, inputs[0], inputs[0][1:2]))


def _bidirectional(layer: Layer, inputs: Inputs, output: Dims) -> Macs:
    return sum((layer_macs(part, inputs, output) for part in (layer.forward_layer, layer.backward_layer)), Macs())


def _time_distributed(layer: Layer, inputs: Inputs, output: Dims) -> Macs:
    inner = layer_macs(layer.layer, [(shape[0], *shape[2:]) for shape in inputs], (output[0], *output[2:]))
    return inner.times(_product(layer, inputs[0], inputs[0][1:2]))


def _additive_attention(layer: Layer, inputs: Inputs, output: Dims) -> Macs:
    query, value = inputs[:2]
    num_queries, depth = (_product(layer, query, (query[axis],)) for axis in (1, -1))
    num_keys, value_depth = (_product(layer, value, (value[axis],)) for axis in (1, -1))
    return Macs(additive_attention_macs(num_queries, num_keys, depth, value_depth, layer.use_scale))


_FORMULAS: tuple[tuple[Any, Callable[[Layer, Inputs, Dims], Macs]], ...] = (
    (KERNEL_LAYERS, _kernels),
    (_CONV_LSTM, _conv_lstm),
    (_k.RNN, _recurrent),
    (_CELLS, _cell),
    (_k.StackedRNNCells, _stacked_cells),
    (_k.Bidirectional, _bidirectional),
    (_k.TimeDistributed, _time_distributed),
    (_k.AdditiveAttention, _additive_attention),
)
