"""Weights in files of Keras 3: names in parts, and shapes that must fit."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import tensorflow as tf

from pocketflow.utils.models.errors import UnreadableError
from pocketflow.utils.models.keras3.weights import fill, named_arrays, names_of


@pytest.fixture
def group():
    with h5py.File('any', 'w', driver='core', backing_store=False) as file:
        yield file.create_group('layer')


def test_names_may_be_in_parts(group):
    assert names_of(group, 'weight_names') == [] == names_of(None, 'weight_names')
    group.attrs['weight_names0'], group.attrs['weight_names1'] = [b'a', b'b'], ['c']
    assert names_of(group, 'weight_names') == ['a', 'b', 'c']


def test_arrays_come_in_the_order_of_their_names(group):
    group['b'], group['a'] = np.ones(2), np.zeros(3)
    group.attrs['weight_names'] = ['a', 'b']
    assert [array.shape for array in named_arrays(group)] == [(3,), (2,)]
    group.attrs['weight_names'] = ['a', 'none']
    with pytest.raises(UnreadableError, match="its array 'none' is missing"):
        named_arrays(group)


def test_weights_are_set_where_shapes_and_types_fit():
    weight = tf.Variable([0.0, 0.0])
    fill('dense', [weight], [np.array([1, 2])])
    assert weight.numpy().tolist() == [1, 2]
    with pytest.raises(UnreadableError, match=r"layer 'dense' has weights of the shapes .2,., and the file holds none"):
        fill('dense', [weight], [])
    with pytest.raises(UnreadableError, match='are of type complex128, which is not read'):
        fill('dense', [weight], [np.array([1j, 2])])
