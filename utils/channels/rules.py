"""Rules of the layer types: how channel identities propagate, and which axes of the weights belong to channels.

A type that is not listed here has no rule, nor has a layer whose type's rule does not apply: channels first; several
calls, except for layers without weights that pass channels on; an activation that mixes channels; weights that are not
in the rule. A layer without a rule reads all its input channels, and keeps all its output channels.
"""

from __future__ import annotations

import dataclasses
import enum
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.graph.channel_select import ChannelSelect

Layer: TypeAlias = keras.layers.Layer
Shape = tuple[int | None, ...]


class Flow(enum.Enum):
    """Origin of the identities of a layer's output channels."""

    MAKES = 'a new identity for each channel'
    PASSES = 'those of the input'
    REPEATS_EACH = 'each of the input several times in a row (depthwise)'
    REPEATS_ALL = 'those of the input, as a whole, several times (flatten)'
    MERGES = 'those of all inputs, merged channel by channel'
    JOINS = 'those of all inputs, concatenated'
    PICKS = 'some of the input'


class Side(enum.Enum):
    """The channels that an axis of a weight runs over."""

    IN = 'input'
    OUT = 'output'


def _always(layer: Layer, inputs: Sequence[Shape], output: Shape) -> bool:
    return True


@dataclasses.dataclass(frozen=True)
class Rule:
    """Properties of a layer type.

    Attributes:
        flow: origin of the output channels' identities.
        weights: attribute name -> {axis: side}, for all weights that such a layer can have.
        size: entry of the layer's config that holds the number of output channels, if there is one.
        resize: as `size`, for entries that are no plain number: changes the config, given that number.
        fits: whether the rule applies to this layer, given the shapes of its inputs and its output.
        grouped: whether the input channels are in groups of equal size, each with separate filters; such a layer takes
            equally many channels of each group, and makes equally many in each.
    """

    flow: Flow
    weights: Mapping[str, Mapping[int, Side]] = dataclasses.field(default_factory=dict)
    size: str | None = None
    resize: Callable[[dict[str, Any], int], None] | None = None
    fits: Callable[[Layer, Sequence[Shape], Shape], bool] = _always
    grouped: bool = False

    @property
    def reads(self) -> bool:
        """Whether input channels of such a layer can be dropped by the caller."""
        return self.flow is Flow.MAKES

    @property
    def holds_for_each_call(self) -> bool:
        """Whether such a layer may be called several times, with different channels in each call."""
        return self.flow is Flow.PASSES and not self.weights


_ELEMENTWISE_NAMES = (
    'linear', 'relu', 'relu6', 'leaky_relu', 'elu', 'selu', 'gelu', 'sigmoid', 'hard_sigmoid', 'tanh',
    'swish', 'silu', 'softplus', 'softsign', 'exponential', 'mish',
)  # fmt: skip
_ELEMENTWISE = frozenset(
    getattr(module, name)
    for module in (keras.activations, tf.nn, tf)
    for name in _ELEMENTWISE_NAMES
    if hasattr(module, name)
)


def is_elementwise(layer: Layer) -> bool:
    """Whether the activation of `layer` acts on each channel separately (true if it has none)."""
    activation = getattr(layer, 'activation', None)
    try:
        return activation is None or activation in _ELEMENTWISE
    except TypeError:  # an unhashable callable
        return False


def _ungrouped(layer: Layer, inputs: Sequence[Shape], output: Shape) -> bool:
    return getattr(layer, 'groups', 1) == 1


def _elementwise(layer: Layer, inputs: Sequence[Shape], output: Shape) -> bool:
    return is_elementwise(layer)


def _last_axis_norm(layer: Layer, inputs: Sequence[Shape], output: Shape) -> bool:
    return list(layer.axis) == [len(output) - 1]


def _plain_noise(layer: Layer, inputs: Sequence[Shape], output: Shape) -> bool:
    return layer.noise_shape is None or layer.noise_shape[-1] in (None, 1)


def _same_rank_and_channels(layer: Layer, inputs: Sequence[Shape], output: Shape) -> bool:
    return all(len(shape) == len(output) and shape[-1] == output[-1] for shape in inputs)


def _whole_copies(layer: Layer, inputs: Sequence[Shape], output: Shape) -> bool:
    # In row-major order element f belongs to channel f mod C, so position p of an output's last axis of
    # size D holds one channel only if C divides D.
    if len(output) < 2:
        return False
    size, num_channels = output[-1], inputs[0][-1]
    return size is not None and num_channels is not None and size % num_channels == 0


def _set_target_channels(config: dict[str, Any], num_channels: int) -> None:
    *others, last = config['target_shape']
    config['target_shape'] = (*others, last if last == -1 else num_channels)


def _set_groups(config: dict[str, Any], num_channels: int) -> None:
    filters_per_group = config['filters'] // config['groups']
    config['filters'], config['groups'] = num_channels, num_channels // filters_per_group


def _concatenate_rule(layer: Layer, rank: int) -> Rule:
    if layer.axis in (-1, rank - 1):
        return _JOIN
    return _MERGE


_BIAS = {'bias': {-1: Side.OUT}}
_CONV = Rule(Flow.MAKES, {'kernel': {-2: Side.IN, -1: Side.OUT}, **_BIAS}, size='filters', fits=_ungrouped)
_GROUPED_CONV = dataclasses.replace(_CONV, fits=_always, grouped=True)
_TRANSPOSED = Rule(Flow.MAKES, {'kernel': {-1: Side.IN, -2: Side.OUT}, **_BIAS}, size='filters', fits=_ungrouped)
_DENSE = Rule(Flow.MAKES, {'kernel': {-2: Side.IN, -1: Side.OUT}, **_BIAS}, size='units')
_SEPARABLE = Rule(
    Flow.MAKES,
    {'depthwise_kernel': {-2: Side.IN}, 'pointwise_kernel': {-2: Side.IN, -1: Side.OUT}, **_BIAS},
    size='filters',
    fits=_ungrouped,
)
_DEPTHWISE = Rule(Flow.REPEATS_EACH, {'depthwise_kernel': {-2: Side.IN}, **_BIAS}, fits=_elementwise)
_DEPTHWISE_BY_GROUPS = Rule(
    Flow.REPEATS_EACH, {'kernel': {-1: Side.OUT}, **_BIAS}, resize=_set_groups, fits=_elementwise
)
_PASS = Rule(Flow.PASSES)
_MERGE = Rule(Flow.MERGES, fits=_same_rank_and_channels)
_JOIN = Rule(Flow.JOINS)
_SAME_CHANNELS = Rule(Flow.PASSES, fits=_same_rank_and_channels)
_NORM_WEIGHTS = ('gamma', 'beta', 'moving_mean', 'moving_variance')

_k = keras.layers
_RULES: dict[type, Rule] = {
    _k.Dense: _DENSE,
    _k.BatchNormalization: Rule(
        Flow.PASSES, {name: {-1: Side.OUT} for name in _NORM_WEIGHTS}, fits=_last_axis_norm
    ),
    _k.PReLU: Rule(Flow.PASSES, {'alpha': {-1: Side.OUT}}),
    _k.Activation: Rule(Flow.PASSES, fits=_elementwise),
    _k.Dropout: Rule(Flow.PASSES, fits=_plain_noise),
    _k.Flatten: Rule(Flow.REPEATS_ALL, fits=_whole_copies),
    _k.Reshape: Rule(Flow.REPEATS_ALL, resize=_set_target_channels, fits=_whole_copies),
    ChannelSelect: Rule(Flow.PICKS),
    **dict.fromkeys((_k.Conv1D, _k.Conv2D, _k.Conv3D), _CONV),
    **dict.fromkeys((_k.Conv1DTranspose, _k.Conv2DTranspose, _k.Conv3DTranspose), _TRANSPOSED),
    **dict.fromkeys((_k.SeparableConv1D, _k.SeparableConv2D), _SEPARABLE),
    **dict.fromkeys((_k.DepthwiseConv1D, _k.DepthwiseConv2D), _DEPTHWISE),
    **dict.fromkeys((_k.Add, _k.Subtract, _k.Multiply, _k.Average, _k.Maximum, _k.Minimum), _MERGE),
    **dict.fromkeys((_k.ReLU, _k.LeakyReLU, _k.ELU, _k.ThresholdedReLU), _PASS),
    **dict.fromkeys((_k.MaxPooling1D, _k.MaxPooling2D, _k.MaxPooling3D), _PASS),
    **dict.fromkeys((_k.AveragePooling1D, _k.AveragePooling2D, _k.AveragePooling3D), _PASS),
    **dict.fromkeys((_k.GlobalMaxPooling1D, _k.GlobalMaxPooling2D, _k.GlobalMaxPooling3D), _PASS),
    **dict.fromkeys((_k.GlobalAveragePooling1D, _k.GlobalAveragePooling2D, _k.GlobalAveragePooling3D), _PASS),
    **dict.fromkeys((_k.UpSampling1D, _k.UpSampling2D, _k.UpSampling3D), _PASS),
    **dict.fromkeys((_k.ZeroPadding1D, _k.ZeroPadding2D, _k.ZeroPadding3D), _PASS),
    **dict.fromkeys((_k.Cropping1D, _k.Cropping2D, _k.Cropping3D), _PASS),
    **dict.fromkeys((_k.SpatialDropout1D, _k.SpatialDropout2D, _k.SpatialDropout3D), _PASS),
    **dict.fromkeys((_k.GaussianNoise, _k.GaussianDropout), _PASS),
}  # fmt: skip


_UNARY_OPERATORS = frozenset({
    'cast', 'clip_by_value', 'identity', 'math.abs', 'math.erf', 'math.exp', 'math.log', 'math.negative', 'math.rsqrt',
    'math.sigmoid', 'math.softplus', 'math.sqrt', 'math.square', 'math.tanh', 'nn.elu', 'nn.gelu', 'nn.leaky_relu',
    'nn.relu', 'nn.relu6', 'nn.selu', 'nn.silu', 'nn.softsign',
})  # fmt: skip
_ARITHMETIC_OPERATORS = frozenset({
    '__operators__.add', 'math.add', 'math.divide', 'math.maximum', 'math.minimum', 'math.multiply', 'math.pow',
    'math.subtract', 'math.truediv',
})  # fmt: skip


def _operator_rule(node: Any) -> Rule | None:
    """The rule of an operator on tensors, such as `x + 3.0`, which Keras records as a layer.

    Operators act on each channel separately if all their other operands are scalars: entries of a constant vector would
    have to be removed, too.
    """
    leaves = tf.nest.flatten((node.call_args, node.call_kwargs))
    known = {id(tensor) for tensor in node.keras_inputs}
    others = [leaf for leaf in leaves if id(leaf) not in known]
    if not tf.is_tensor(node.outputs) or not all(_is_scalar(leaf) for leaf in others):
        return None
    symbol = getattr(node.layer, 'symbol', None)
    if symbol in _UNARY_OPERATORS | _ARITHMETIC_OPERATORS and len(node.keras_inputs) == 1:
        return _SAME_CHANNELS
    return _MERGE if symbol in _ARITHMETIC_OPERATORS else None


def _is_scalar(leaf: Any) -> bool:
    if tf.is_tensor(leaf):
        return bool(leaf.shape.rank == 0)
    return leaf is None or isinstance(leaf, (numbers.Number, str, tf.DType, np.generic))


def _is_operator(layer: Layer) -> bool:
    # The class has no public name.
    return type(layer).__name__ == 'TFOpLambda' and type(layer).__module__.startswith('tf_keras.')


def rule_for(node: Any, num_calls: int) -> Rule | None:
    """The rule that holds for one call of a layer, or None where there is none.

    Args:
        node: the Keras node that records the call.
        num_calls: number of calls of that layer in the model.
    """
    inputs = [tuple(tensor.shape) for tensor in node.keras_inputs]
    output = tf.nest.flatten(node.outputs)[0].shape
    is_operator = _is_operator(node.layer)
    rule = _operator_rule(node) if is_operator else _type_rule(node.layer, len(output))
    if rule is None or not (is_operator or _is_ordinary_call(node, rule)):
        return None
    if num_calls > 1 and not rule.holds_for_each_call:
        return None
    if any(len(shape) < 2 or shape[-1] is None for shape in [*inputs, tuple(output)]):
        return None
    if getattr(node.layer, 'data_format', 'channels_last') != 'channels_last':
        return None
    if len(node.layer.weights) != len(weight_names(node.layer, rule)):
        return None
    return rule if rule.fits(node.layer, inputs, tuple(output)) else None


def _type_rule(layer: Layer, rank: int) -> Rule | None:
    # Exact types: a subclass may compute a different function.
    if type(layer) is keras.layers.Concatenate:
        return _concatenate_rule(layer, rank)
    if type(layer) in (_k.Conv1D, _k.Conv2D, _k.Conv3D) and layer.groups > 1:
        return _DEPTHWISE_BY_GROUPS if layer.kernel.shape[-2] == 1 else _GROUPED_CONV
    return _RULES.get(type(layer))


def _is_ordinary_call(node: Any, rule: Rule) -> bool:
    """Whether a call has no other tensors than its inputs (no masks, no constants) and one output."""
    inputs = tf.nest.flatten(node.call_args[0]) if node.call_args else []
    several = rule.flow in (Flow.MERGES, Flow.JOINS)
    return (
        tf.is_tensor(node.outputs)
        and [id(tensor) for tensor in inputs] == [id(tensor) for tensor in node.keras_inputs]
        and (several or len(inputs) == 1)
    )


def weight_names(layer: Layer, rule: Rule) -> list[str]:
    """Names of the attributes of `rule.weights` that this layer has."""
    return [name for name in rule.weights if getattr(layer, name, None) is not None]
