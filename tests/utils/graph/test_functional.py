"""Graphs of functional models: order of calls, copies, extremes, and copies with other layers."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph.functional import copied, nodes_in_order, output_extremes, rebuild

layers = keras.layers


@pytest.fixture
def model() -> keras.Model:
    """A dense layer that is called twice, and a sum."""
    keras.utils.set_random_seed(0)
    inputs = layers.Input((3,), name='inputs')
    shared = layers.Dense(3, name='shared')
    total = layers.Add(name='add')([inputs, shared(shared(inputs))])
    return keras.Model(inputs, layers.ReLU(name='relu')(total), name='net')


def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


def test_each_call_comes_after_those_it_needs(model):
    assert [node.layer.name for node in nodes_in_order(model)] == ['inputs', 'shared', 'shared', 'add', 'relu']


def test_what_has_no_graph_is_refused():
    class Own(keras.Model):
        pass

    with pytest.raises(UsageError, match="model 'mine' is a Own, not a functional Keras model"):
        nodes_in_order(Own(name='mine'))


def test_a_copy_has_equal_weights_of_its_own(model):
    copy = copied(model)
    np.testing.assert_array_equal(copy(images()), model(images()))
    copy.get_layer('shared').kernel.assign(np.zeros((3, 3)))
    assert np.abs(model.get_layer('shared').kernel).max() > 0


def test_extremes_of_batches_are_over_all_calls(model):
    shared, x = model.get_layer('shared'), images()
    found = output_extremes(model, ['shared', 'relu'], x, batch_size=3)
    assert found.shape == (2, 2, 2)
    for batch, part in zip(found, (x[:3], x[3:]), strict=True):
        calls = np.stack([shared(part), shared(shared(part))])
        np.testing.assert_allclose(batch[0], [calls.min(), calls.max()], rtol=1e-6)
        result = model(part).numpy()
        np.testing.assert_allclose(batch[1], [result.min(), result.max()], rtol=1e-6)
    np.testing.assert_array_equal(output_extremes(model, ['relu'], x, batch_size=3), found[:, 1:])
    assert output_extremes(model, [], x, 3).shape == (1, 0, 2)


def test_layers_are_replaced_once_each_and_keep_their_weights(model):
    asked = []

    def edit(layer, copy):
        asked.append(layer.name)
        return (lambda tensor: 2 * copy(tensor)) if layer.name == 'relu' else copy

    result = rebuild(model, edit)
    assert asked == ['shared', 'add', 'relu'] and result.name == 'net'
    np.testing.assert_allclose(result(images()), 2 * model(images()), rtol=1e-6)
    assert result.get_layer('shared') is not model.get_layer('shared')
