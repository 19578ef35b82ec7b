"""The search for the layer with which a conversion begins to fail."""

from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.utils.export.culprit import first_failing_layer, part_of

layers = keras.layers


@pytest.fixture(scope='module')
def net() -> keras.Model:
    """Two branches from `stem`, joined by `sum`, and one more layer."""
    inputs = keras.Input((4,), name='x')
    stem = layers.Dense(3, name='stem')(inputs)
    joined = layers.Add(name='sum')([layers.ReLU(name='left')(stem), layers.ReLU(name='right')(stem)])
    return keras.Model(inputs, layers.Dense(2, name='last')(joined))


def test_a_part_returns_all_that_is_taken_later(net):
    assert [tensor.name.split('/')[0] for tensor in part_of(net, 3).outputs] == ['left', 'right']
    assert [layer.name for layer in part_of(net, 1).layers] == ['x', 'stem']


@pytest.mark.parametrize('name', ['stem', 'left', 'right', 'sum', 'last'])
def test_the_first_layer_that_fails(name, net):
    tried = []

    def fails(part: keras.Model) -> bool:
        tried.append(part)
        return name in [layer.name for layer in part.layers]

    assert first_failing_layer(net, fails) == name
    assert len(tried) <= 3  # of five


def test_no_answer_without_time_or_a_graph(net):
    assert first_failing_layer(net, lambda part: True, most_seconds=-1) is None
    assert first_failing_layer(keras.Sequential(), lambda part: True) is None

    def fails(part: keras.Model) -> bool:
        raise ValueError('not convertible')

    assert first_failing_layer(net, fails) is None
