"""Sets the weights of a model from a Keras 3 file: each array is used once, and each weight is set once.

`.keras` and `.weights.h5` files store arrays under the layer's group name and the attributes within it
(`layers/bidirectional/forward_layer/cell/vars/0`); `.h5` files under the layer's name, in the order of its weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import h5py
import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.models.errors import UnreadableError
from pocketflow.utils.models.keras3.config import short
from pocketflow.utils.models.keras3.network import Member, snake_case

layers = keras.layers
_ATTENTION = (
    ('query_dense', '_query_dense'),
    ('key_dense', '_key_dense'),
    ('value_dense', '_value_dense'),
    ('output_dense', '_output_dense'),
)
_RANDOM = ('seed_generator', 'random_generator', '_random_generator', '_seed_generator')
"""Groups of a layer with the state of its random number generators."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Location of one layer's own weights in a file, without those of nested layers.

    Attributes:
      path: path of the group in a `.keras` file, without `vars`.
      name: name of the layer, for messages.
      weights: the layer's own weights, the trainable ones first.
      is_trainable: whether neither the layer nor an enclosing layer is frozen.
    """

    path: str
    name: str
    weights: tuple[tf.Variable, ...]
    is_trainable: bool

    def in_order(self) -> list[tf.Variable]:
        return list(self.weights)


def places(member: Member, path: str = '') -> Iterator[Place]:
    """Places of all layers of a model, in Keras' order of weights; shared layers occur once.

    Args:
      member: the model.
      path: path of the model in the file, such as `layers/sequential/`.
    """
    yield from _places(member, path, True, set())


def _places(member: Member, path: str, is_trainable: bool, seen: set[int]) -> Iterator[Place]:
    for inner in member.members:
        if inner.layer is None or id(inner.layer) in seen:
            continue
        seen.add(id(inner.layer))
        below = f'{path}layers/{inner.place}'
        if inner.members:
            yield from _places(inner, f'{below}/', is_trainable and inner.layer.trainable, seen)
        else:
            yield from _of_layer(inner.layer, below, inner.name, is_trainable)


def _of_layer(layer: Any, path: str, name: str, is_trainable: bool) -> Iterator[Place]:
    is_trainable = is_trainable and layer.trainable
    own = [*layer._trainable_weights, *layer._non_trainable_weights]
    if isinstance(layer, layers.SpectralNormalization):
        own = [layer.kernel, *[weight for weight in own if weight is not layer.kernel]]  # Keras 3 lists it twice
    yield Place(path, name, tuple(own), is_trainable)
    for attribute, part in _parts(layer):
        yield from _of_layer(part, f'{path}/{attribute}', name, is_trainable)


def _parts(layer: Any) -> list[tuple[str, Any]]:
    """Nested layers of a layer, with the attribute names under which Keras 3 saves them."""
    if isinstance(layer, layers.MultiHeadAttention):
        return [(name, getattr(layer, own)) for name, own in _ATTENTION]
    if isinstance(layer, layers.Bidirectional):
        return [('forward_layer', layer.forward_layer), ('backward_layer', layer.backward_layer)]
    if isinstance(layer, layers.StackedRNNCells):
        return [(f'cells/{place}', cell) for place, cell in zip(_numbered(layer.cells), layer.cells, strict=True)]
    if isinstance(layer, layers.RNN):
        return [('cell', layer.cell)]
    if isinstance(layer, layers.Wrapper):
        return [('layer', layer.layer)]
    if type(layer).__module__.startswith('tf_keras.'):
        return []
    named = sorted(vars(layer).items(), key=lambda item: (item[0].startswith('_'), item[0]))
    return [(name, part) for name, part in named if isinstance(part, layers.Layer)]


def _numbered(parts: Sequence[Any]) -> list[str]:
    names = [snake_case(type(part).__name__) for part in parts]
    return [
        f'{name}_{names[:place].count(name)}' if name in names[:place] else name for place, name in enumerate(names)
    ]


def fill_by_place(member: Member, file: h5py.File) -> None:
    """Sets the weights of a model from a file that stores them by group names.

    Raises:
      UnreadableError: an array is missing, unused, or has another shape; the message names the layer.
    """
    used: set[str] = set()
    for place in places(aligned(member, file)):
        group = file.get(f'{place.path}/vars')
        arrays = _arrays_of(group)
        fill(place.name, place.weights, arrays)
        used.update(f'{place.path}/vars/{index}' for index in range(len(arrays)))
    left = sorted(set(_weight_paths(file)) - used)
    if left:
        raise UnreadableError(
            f'it holds weights that no layer of its architecture takes: {short(left[0])}'
            f'{f" and {len(left) - 1} more" if len(left) > 1 else ""}; save the model again with model.save'
        )
    _finalize(member)


def aligned(member: Member, group: h5py.Group) -> Member:
    """Corrects the group names of a model's layers by the layer names in a file, if it stores the same names.

    tf_keras may list the layers of a network with branches in another order, and so number them differently.

    Args:
      member: the model.
      group: the model's group in the file.
    """
    below, stored = group.get('layers'), {}
    if not isinstance(below, h5py.Group):
        return member
    for place in below:
        item = below[place].get('vars') if isinstance(below[place], h5py.Group) else None
        name = item.attrs.get('name') if isinstance(item, h5py.Group) else None
        stored[name.decode('utf-8', 'replace') if isinstance(name, bytes) else str(name)] = place
    found = [stored.get(inner.name) for inner in member.members if inner.layer is not None and inner.layer.weights]
    is_named = None not in found and len(set(found)) == len(found)
    members = []
    for inner in member.members:
        place = stored.get(inner.name, inner.place) if is_named else inner.place
        moved = dataclasses.replace(inner, place=place)
        is_group = inner.members and isinstance(below.get(place), h5py.Group)
        members.append(aligned(moved, below[place]) if is_group else moved)
    return dataclasses.replace(member, members=members)


def fill_by_name(member: Member, group: h5py.Group) -> None:
    """Sets the weights of a model from a group that stores them by layer name, as in `.h5` files.

    Raises:
      UnreadableError: as `fill_by_place`.
    """
    unused = {name for name in group if names_of(group[name], 'weight_names')}
    for inner in member.members:
        if inner.layer is None:
            continue
        found = _nested_places(inner)
        trainable = [weight for place in found if place.is_trainable for weight in _first(place)]
        others = [weight for place in found for weight in (_rest(place) if place.is_trainable else place.in_order())]
        weights = list({id(weight): weight for weight in (*trainable, *others)}.values())
        arrays = named_arrays(group[inner.name]) if inner.name in group else []
        fill(inner.name, weights, arrays)
        unused.discard(inner.name)
    if unused:
        raise UnreadableError(
            f'it holds weights of {short(sorted(unused)[0])}, which is no layer of its architecture; save the model '
            'again with model.save'
        )
    _finalize(member)


def _nested_places(inner: Member) -> list[Place]:
    if inner.members:
        return list(_places(inner, '', inner.layer.trainable, set()))
    return list(_of_layer(inner.layer, '', inner.name, True))


def _first(place: Place) -> list[tf.Variable]:
    return [weight for weight in place.weights if weight.trainable]


def _rest(place: Place) -> list[tf.Variable]:
    return [weight for weight in place.weights if not weight.trainable]


def named_arrays(group: h5py.Group) -> list[np.ndarray]:
    """The arrays of a layer's group, in the order of its attribute `weight_names`."""
    arrays = []
    for name in names_of(group, 'weight_names'):
        item = group.get(name)
        if not isinstance(item, h5py.Dataset):
            raise UnreadableError(f'its array {short(name)} is missing')
        arrays.append(item[()])
    return arrays


def names_of(group: Any, attribute: str) -> list[str]:
    """Reads an attribute with names, which large files split: `weight_names0`, `weight_names1`."""
    if not isinstance(group, h5py.Group):
        return []
    parts = [group.attrs[attribute]] if attribute in group.attrs else []
    while f'{attribute}{len(parts)}' in group.attrs:
        parts.append(group.attrs[f'{attribute}{len(parts)}'])
    names = [name for part in parts for name in np.asarray(part).reshape(-1).tolist()]
    return [name.decode('utf-8', 'replace') if isinstance(name, bytes) else str(name) for name in names]


def _arrays_of(group: Any) -> list[np.ndarray]:
    """The arrays `0`, `1`, ... of a group."""
    arrays: list[np.ndarray] = []
    while isinstance(group, h5py.Group) and isinstance(item := group.get(str(len(arrays))), h5py.Dataset):
        arrays.append(item[()])
    return arrays


def fill(name: str, weights: Sequence[tf.Variable], arrays: Sequence[np.ndarray]) -> None:
    """Sets the weights of one layer; raises an `UnreadableError` with its name if the shapes differ."""
    wanted, found = [tuple(weight.shape) for weight in weights], [array.shape for array in arrays]
    if wanted != found:
        raise UnreadableError(
            f'layer {short(name)} has weights of the shapes {_shapes(wanted)}, and the file holds {_shapes(found)} '
            'for it; is it the file of another network?'
        )
    for weight, array in zip(weights, arrays, strict=True):
        if array.dtype.kind not in 'biuf':
            raise UnreadableError(f'the weights of layer {short(name)} are of type {array.dtype}, which is not read')
        weight.assign(tf.cast(array, weight.dtype))


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    text = ', '.join(map(str, shapes[:4])) + (', ...' if len(shapes) > 4 else '')
    return text or 'none'


def _weight_paths(file: h5py.File) -> Iterator[str]:
    """Paths of the layers' arrays in a file, without those of the optimizer, metrics and random generators."""
    waiting = [('layers', file.get('layers')), ('vars', file.get('vars'))]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, h5py.Dataset):
            yield path
        elif isinstance(item, h5py.Group):
            waiting += [(f'{path}/{name}', item[name]) for name in item if name not in _RANDOM]


def _finalize(member: Member) -> None:
    """Recomputes state that layers derive from their weights."""
    for inner in member.members:
        if isinstance(inner.layer, layers.Normalization) and inner.layer.built:
            inner.layer.finalize_state()
        _finalize(inner)
