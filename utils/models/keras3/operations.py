"""Operations of Keras 3 on tensors (`x * 0.5 + 1`, `x[:, 1:]`, `keras.ops.mean`), implemented in TensorFlow.

A file names an operation by its class. Classes that are not in the table are rejected; no module is searched.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import first_line
from pocketflow.utils.models.architecture import MAX_INTEGER
from pocketflow.utils.models.errors import UnreadableError
from pocketflow.utils.models.keras3 import activations
from pocketflow.utils.models.keras3.config import NUMBERS, short

layers = keras.layers
Operation = Callable[..., Any]
MAX_PARTS = 2**10
"""Limit of the input or output tensors of one operation."""


def call(name: str, settings: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any], label: str) -> Any:
    """Calls an operation.

    Args:
      name: class of the operation in Keras 3, such as `GetItem`.
      settings: its configuration, such as `axis`.
      args, kwargs: arguments of the call, with tensors of the model that is built.
      label: name of the operation in the file.

    Raises:
      UnreadableError: it is not in the table, has no tensor among its arguments, or has unsupported settings.
    """
    function = OPERATIONS.get(name)
    if function is None:
        raise UnreadableError(
            f'its architecture calls the function {short(name)} of Keras 3 (operation {short(label)}), which is not '
            'accepted: use a Keras layer, or a registered layer of your own'
        )
    given = {key: value for key, value in {**settings, **kwargs}.items() if key not in ('name', 'trainable')}
    if not any(tf.is_tensor(leaf) for leaf in tf.nest.flatten((list(args), given))):
        raise UnreadableError(f'its architecture calls {short(label)} on constants alone; replace it by what it gives')
    for leaf in tf.nest.flatten((list(args), given)):
        if isinstance(leaf, int) and abs(leaf) > MAX_INTEGER:
            raise UnreadableError(
                f'operation {short(label)} ({name}) has the number {short(leaf)}; sizes up to {MAX_INTEGER} are '
                'accepted'
            )
    try:
        inspect.signature(function).bind(*args, **given)
    except TypeError as error:
        raise UnreadableError(
            f'the settings of operation {short(label)} ({name}) are not known here ({first_line(error)})'
        ) from error
    return function(*args, **given)


def _same(function: Operation) -> Operation:
    return lambda x: function(x)


def _both(function: Operation) -> Operation:
    return lambda x1, x2: function(*_of_one_type(x1, x2))


def _of_one_type(*values: Any) -> list[Any]:
    """Casts integer tensors to float if another operand is a float, as Keras 3 does."""
    floats = [value for value in values if _is_float(value)]
    if not floats:
        return list(values)
    dtype = next((value.dtype for value in floats if hasattr(value, 'dtype')), tf.float32)
    return [tf.cast(value, dtype) if tf.is_tensor(value) and not _is_float(value) else value for value in values]


def _is_float(value: Any) -> bool:
    return tf.as_dtype(value.dtype).is_floating if hasattr(value, 'dtype') else isinstance(value, float)


def _reduced(function: Operation) -> Operation:
    return lambda x, axis=None, keepdims=False: function(x, axis=_axes(axis), keepdims=bool(keepdims))


def _extreme(function: Operation) -> Operation:
    def reduced(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
        _only(initial is None, 'initial')
        return function(x, axis=_axes(axis), keepdims=bool(keepdims))

    return reduced


def _place(function: Operation) -> Operation:
    def place(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        _only(axis is not None, 'axis=None')
        found = function(x, axis=axis, output_type=tf.int32)
        return tf.expand_dims(found, axis) if keepdims else found

    return place


def _mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    spatial = list(range(1, x.shape.rank - 1))
    axes = [place % x.shape.rank for place in _list(axis)] if axis is not None else None
    if axes is not None and spatial and sorted(axes) == spatial and x.shape.rank in (3, 4, 5):
        layer = {3: layers.GlobalAveragePooling1D, 4: layers.GlobalAveragePooling2D, 5: layers.GlobalAveragePooling3D}
        return layer[x.shape.rank](keepdims=bool(keepdims), data_format='channels_last')(x)
    return tf.reduce_mean(x, axis=_axes(axis), keepdims=bool(keepdims))


def _reshaped(x: Any, newshape: Any) -> Any:
    sizes = _list(newshape)
    _only(all(size is None or type(size) is int for size in sizes), 'newshape')
    first, rest = (sizes[0], sizes[1:]) if sizes else (None, [])
    num_values = x.shape[1:].num_elements()
    if first in (None, -1) and rest and None not in rest:
        num_left = math.prod(rest)
        if (first is None and rest.count(-1) <= 1) or (num_values is not None and num_left == num_values):
            return layers.Reshape(rest)(x)
    _only(sizes.count(None) + sizes.count(-1) <= 1, 'newshape')
    return tf.reshape(x, [-1 if size is None else size for size in sizes])


def _taken(x: Any, key: Any) -> Any:
    parts = tuple(key) if isinstance(key, list | tuple) else (key,)
    kinds = int, slice, type(...), type(None)
    _only(all(isinstance(part, kinds) and not isinstance(part, bool) for part in parts), 'the index')
    for part in parts:
        if isinstance(part, slice):
            numbers = part.start, part.stop, part.step
            _only(all(number is None or type(number) is int for number in numbers), 'the slice')
    if ... in parts:  # written out: Keras 2 does not save it
        place, num_named = parts.index(...), sum(part is not None and part is not ... for part in parts)
        _only(parts.count(...) == 1 and num_named <= x.shape.rank, 'the index')
        parts = (*parts[:place], *[slice(None)] * (x.shape.rank - num_named), *parts[place + 1 :])
    return x[parts]


def _concatenated(xs: Any, axis: int = 0) -> Any:
    _only(isinstance(xs, list | tuple) and 0 < len(xs) <= MAX_PARTS, 'the list')
    return layers.Concatenate(axis=axis)(list(xs)) if len(xs) > 1 else xs[0]


def _stacked(x: Any, axis: int = 0) -> Any:
    _only(isinstance(x, list | tuple) and 0 < len(x) <= MAX_PARTS, 'the list')
    return tf.stack(list(x), axis=axis)


def _split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    size = x.shape[axis]
    if isinstance(indices_or_sections, list | tuple):
        ends = [*indices_or_sections, size]
        _only(size is not None and len(ends) <= MAX_PARTS and all(type(end) is int for end in ends), 'the sections')
        return tf.split(x, [end - start for start, end in zip([0, *ends], ends, strict=False)], axis=axis)
    _only(type(indices_or_sections) is int and 0 < indices_or_sections <= MAX_PARTS, 'the sections')
    return tf.split(x, indices_or_sections, axis=axis)


def _unstacked(x: Any, num: Any = None, axis: int = 0) -> Any:
    num = x.shape[axis] if num is None else num
    _only(type(num) is int and 0 < num <= MAX_PARTS, 'the number of parts')
    return tf.unstack(x, num=num, axis=axis)


def _transposed(x: Any, axes: Any = None) -> Any:
    axes = list(reversed(range(x.shape.rank))) if axes is None else [place % x.shape.rank for place in _list(axes)]
    if axes == sorted(axes):
        return x
    if axes[:1] == [0] and len(axes) > 1:
        return layers.Permute(axes[1:])(x)
    return tf.transpose(x, axes)


def _moved(x: Any, source: Any, destination: Any) -> Any:
    rank = x.shape.rank
    sources = [place % rank for place in _list(source)]
    order = [place for place in range(rank) if place not in sources]
    for to, place in sorted(zip([place % rank for place in _list(destination)], sources, strict=True)):
        order.insert(to, place)
    return _transposed(x, order)


def _swapped(x: Any, axis1: int, axis2: int) -> Any:
    order = list(range(x.shape.rank))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return _transposed(x, order)


def _squeezed(x: Any, axis: Any = None) -> Any:
    return tf.squeeze(x, axis=_axes(axis))


def _expanded(x: Any, axis: Any) -> Any:
    for place in sorted(_list(axis)):
        x = tf.expand_dims(x, place)
    return x


def _padded(x: Any, pad_width: Any, mode: str = 'constant', constant_values: Any = None) -> Any:
    width = _list(pad_width)
    if len(width) == 1 and isinstance(width[0], list | tuple):
        width = width * x.shape.rank
    _only(mode in ('constant', 'reflect', 'symmetric') and len(width) == x.shape.rank, 'mode')
    value = 0 if constant_values is None else constant_values
    return tf.pad(x, [_list(part) for part in width], mode=mode.upper(), constant_values=value)


def _cast(x: Any, dtype: Any) -> Any:
    _only(dtype in NUMBERS, 'dtype')
    return tf.cast(x, dtype)


def _clipped(x: Any, x_min: Any, x_max: Any) -> Any:
    return tf.clip_by_value(x, x_min, x_max)


def _where(condition: Any, x1: Any, x2: Any) -> Any:
    return tf.where(condition, x1, x2)


def _repeated(x: Any, repeats: Any, axis: Any = None) -> Any:
    _only(type(repeats) is int and type(axis) is int, 'repeats')
    return tf.repeat(x, repeats, axis=axis)


def _gathered(x: Any, indices: Any, axis: Any = None) -> Any:
    _only(axis is not None, 'axis=None')
    return tf.gather(x, tf.cast(indices, 'int32') if tf.is_tensor(indices) else np.asarray(indices), axis=axis)


def _broadcast(x: Any, shape: Any) -> Any:
    _only(all(type(size) is int for size in _list(shape)), 'shape')
    return tf.broadcast_to(x, _list(shape))


def _one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Any:
    _only(not sparse and dtype in (None, *NUMBERS), 'sparse')
    return tf.one_hot(tf.cast(x, 'int32'), num_classes, axis=axis, dtype=dtype or 'float32')


def _top(x: Any, k: int, sorted: bool = True) -> Any:
    return tf.math.top_k(x, k, sorted)


def _normalized(x: Any, axis: Any = -1, order: Any = 2, epsilon: Any = None) -> Any:
    _only(order == 2, 'order')
    return tf.math.l2_normalize(x, axis=axis, epsilon=(epsilon or keras.backend.epsilon()) ** 2)


def _einsum(x1: Any, x2: Any, subscripts: str) -> Any:
    """Einsum as a matrix product: Keras 2 cannot save a call of `tf.einsum`."""
    parts = re.fullmatch(r'([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]+)', str(subscripts).replace(' ', ''))
    one, two, result = parts.groups() if parts is not None else ('', '', '')
    _only(parts is not None and all(len(set(part)) == len(part) for part in (one, two, result)), 'subscripts')
    batch = [label for label in result if label in one and label in two]
    left = [label for label in result if label not in two]
    right = [label for label in result if label not in one]
    summed = [label for label in one if label in two and label not in result]
    lengths = len(left), len(right), len(summed)
    _only(lengths == (1, 1, 1) and len(one) == len(two) == len(batch) + 2 == len(result), 'subscripts')
    product = tf.matmul(
        _transposed(x1, [one.index(label) for label in (*batch, *left, *summed)]),
        _transposed(x2, [two.index(label) for label in (*batch, *summed, *right)]),
    )
    made = [*batch, *left, *right]
    return _transposed(product, [made.index(label) for label in result])


def _tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    return tf.tensordot(x1, x2, axes=axes)


def _summed_up(x: Any, axis: Any = None, dtype: Any = None) -> Any:
    _only(type(axis) is int and dtype is None, 'axis')
    return tf.cumsum(x, axis=axis)


def _resized(images: Any, size: Any, interpolation: str = 'bilinear', data_format: Any = None, **others: Any) -> Any:
    plain = {'antialias': False, 'crop_to_aspect_ratio': False, 'pad_to_aspect_ratio': False}
    _only(all(others.get(name, value) == value for name, value in plain.items()), 'another way of resizing')
    _only(data_format in (None, 'channels_last') and interpolation in ('bilinear', 'nearest', 'bicubic'), 'data_format')
    return tf.image.resize(images, _list(size), method=interpolation)


def _pooled(kind: str) -> Operation:
    def pooled(
        inputs: Any, pool_size: Any, strides: Any = None, padding: str = 'valid', data_format: Any = None
    ) -> Any:
        kinds = {3: '1D', 4: '2D', 5: '3D'}
        _only(inputs.shape.rank in kinds, 'the shape')
        sizes = {'pool_size': pool_size, 'strides': strides}
        if inputs.shape.rank == 3:
            sizes = {key: value[0] if isinstance(value, list) else value for key, value in sizes.items()}
        layer = getattr(layers, f'{kind}Pooling{kinds[inputs.shape.rank]}')
        return layer(**sizes, padding=padding, data_format=data_format or 'channels_last')(inputs)

    return pooled


def _activation(name: str) -> Operation:
    return lambda x, **settings: activations.apply(name, x, **settings)


def _only(holds: bool, what: str) -> None:
    if not holds:
        raise UnreadableError(f'an operation of its architecture has a value of {what} that is not known here')


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _axes(axis: Any) -> Any:
    return axis if axis is None else _list(axis)


OPERATIONS: Mapping[str, Operation] = {
    'Add': _both(lambda a, b: a + b), 'Subtract': _both(lambda a, b: a - b), 'Multiply': _both(lambda a, b: a * b),
    'Divide': _both(lambda a, b: a / b), 'TrueDivide': _both(lambda a, b: a / b),
    'DivideNoNan': _both(tf.math.divide_no_nan), 'FloorDivide': _both(lambda a, b: a // b),
    'Mod': _both(lambda a, b: a % b), 'Power': _both(lambda a, b: a**b), 'Maximum': _both(tf.maximum),
    'Minimum': _both(tf.minimum), 'Arctan2': _both(tf.atan2), 'Matmul': _both(tf.matmul),
    'Equal': _both(tf.equal), 'NotEqual': _both(tf.not_equal), 'Greater': _both(tf.greater),
    'GreaterEqual': _both(tf.greater_equal), 'Less': _both(tf.less), 'LessEqual': _both(tf.less_equal),
    'LogicalAnd': _both(tf.logical_and), 'LogicalOr': _both(tf.logical_or), 'LogicalXor': _both(tf.math.logical_xor),
    'LogicalNot': _same(tf.logical_not),
    'Absolute': _same(tf.abs), 'Abs': _same(tf.abs), 'Negative': _same(tf.negative), 'Exp': _same(tf.exp),
    'Expm1': _same(tf.math.expm1), 'Log': _same(tf.math.log), 'Log1p': _same(tf.math.log1p),
    'Log2': lambda x: tf.math.log(x) * (1 / math.log(2)), 'Log10': lambda x: tf.math.log(x) * (1 / math.log(10)),
    'Sqrt': _same(tf.sqrt), 'Rsqrt': _same(tf.math.rsqrt), 'Square': _same(tf.square), 'Sin': _same(tf.sin),
    'Cos': _same(tf.cos), 'Tan': _same(tf.tan), 'Sinh': _same(tf.sinh), 'Cosh': _same(tf.cosh),
    'Tanh': _same(tf.tanh), 'Arcsin': _same(tf.asin), 'Arccos': _same(tf.acos), 'Arctan': _same(tf.atan),
    'Sign': _same(tf.sign), 'Floor': _same(tf.floor), 'Ceil': _same(tf.math.ceil),
    'Reciprocal': _same(tf.math.reciprocal), 'Erf': _same(tf.math.erf), 'Erfc': _same(tf.math.erfc),
    'Isnan': _same(tf.math.is_nan), 'Isfinite': _same(tf.math.is_finite), 'Isinf': _same(tf.math.is_inf),
    'ZerosLike': lambda x, dtype=None: tf.zeros_like(x), 'OnesLike': lambda x, dtype=None: tf.ones_like(x),
    'StopGradient': lambda variable: tf.stop_gradient(variable), 'Copy': _same(tf.identity),
    'Mean': _mean, 'Sum': _reduced(tf.reduce_sum), 'Max': _extreme(tf.reduce_max), 'Min': _extreme(tf.reduce_min),
    'Amax': _reduced(tf.reduce_max), 'Amin': _reduced(tf.reduce_min),
    'Prod': lambda x, axis=None, keepdims=False, dtype=None: tf.reduce_prod(x, _axes(axis), keepdims),
    'Var': _reduced(tf.math.reduce_variance), 'Std': _reduced(tf.math.reduce_std), 'All': _reduced(tf.reduce_all),
    'Any': _reduced(tf.reduce_any), 'Logsumexp': _reduced(tf.reduce_logsumexp),
    'Argmax': _place(tf.argmax), 'Argmin': _place(tf.argmin), 'Cumsum': _summed_up, 'TopK': _top,
    'Reshape': _reshaped, 'Transpose': _transposed, 'Moveaxis': _moved, 'Swapaxes': _swapped, 'Squeeze': _squeezed,
    'ExpandDims': _expanded, 'GetItem': _taken, 'Concatenate': _concatenated, 'Stack': _stacked, 'Split': _split,
    'Unstack': _unstacked, 'Pad': _padded, 'Cast': _cast, 'Clip': _clipped, 'Where': _where, 'Repeat': _repeated,
    'Tile': lambda x, repeats: tf.tile(x, _list(repeats)), 'Take': _gathered, 'BroadcastTo': _broadcast,
    'Flip': lambda x, axis: tf.reverse(x, _list(axis)), 'Roll': lambda x, shift, axis: tf.roll(x, shift, axis),
    'Ravel': lambda x: tf.reshape(x, [-1]), 'OneHot': _one_hot, 'Normalize': _normalized, 'Einsum': _einsum,
    'Tensordot': _tensordot, 'Resize': _resized, 'MaxPool': _pooled('Max'), 'AveragePool': _pooled('Average'),
    'RGBToGrayscale': lambda images, data_format=None: tf.image.rgb_to_grayscale(images),
    **{name: _activation(name) for name in activations.OPERATIONS},
}  # fmt: skip
"""Class of the operation in Keras 3 -> its function."""
