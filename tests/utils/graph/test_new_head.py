from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph.new_head import NewHead, last_layer, with_new_head

layers = keras.layers
INPUT = layers.Input((8, 8, 3))


def with_end(*end) -> keras.Model:
    """A convolution, and the given layers."""
    outputs = layers.Conv2D(4, 3, name='conv')(INPUT)
    for layer in end:
        outputs = layer(outputs)
    return keras.Model(INPUT, outputs)


def test_a_dense_layer_is_replaced_and_all_others_are_copied():
    model = with_end(layers.GlobalAveragePooling2D(), layers.Dense(10, name='last'))
    changed, head = with_new_head(model, 3, seed=1)
    assert changed.output_shape == (None, 3) and head == NewHead('last', 10, 3)
    np.testing.assert_array_equal(changed.get_layer('conv').get_weights()[0], model.get_layer('conv').get_weights()[0])
    kernel, bias = changed.get_layer('last').get_weights()
    assert kernel.shape == (4, 3) and 0 < np.abs(kernel).max() <= np.sqrt(6 / 7) and not bias.any()
    np.testing.assert_array_equal(kernel, with_new_head(model, 3, seed=1)[0].get_layer('last').get_weights()[0])
    assert (kernel != with_new_head(model, 3, seed=2)[0].get_layer('last').get_weights()[0]).all()
    assert model.output_shape == (None, 10)


def test_a_convolution_before_pooling_or_reshaping_is_replaced():
    pooled = with_end(layers.Conv2D(10, 1, name='last'), layers.ReLU(), layers.GlobalAveragePooling2D())
    assert with_new_head(pooled, 5)[0].output_shape == (None, 5)
    first = layers.GlobalAveragePooling2D(keepdims=True)
    reshaped = with_end(first, layers.Conv2D(10, 1, name='last', use_bias=False), layers.Reshape((10,)))
    assert with_new_head(reshaped, 12)[1] == NewHead('last', 10, 12)
    assert with_new_head(reshaped, 12)[0].output_shape == (None, 12)


@pytest.mark.parametrize(
    ('end', 'message'),
    [
        ([layers.Conv2D(2, 3, name='wide'), layers.GlobalAveragePooling2D()], "'wide', is a Conv2D; expected is a"),
        ([layers.Flatten(), layers.Dense(4), layers.BatchNormalization(name='bn')], "'bn', is a BatchNormalization"),
        ([layers.Conv2D(4, 1, name='c'), layers.Flatten()], r'no new head fits: with 5 outputs it gives \(None, 180\)'),
    ],
)
def test_what_has_no_last_layer_of_its_kind_is_refused(end, message):
    with pytest.raises(UsageError, match=message):
        with_new_head(with_end(*end), 5)


def test_branches_that_meet_at_the_end_are_refused():
    one, two = (layers.Dense(3)(layers.Flatten()(INPUT)) for _ in range(2))
    with pytest.raises(UsageError, match="layer 'sum' at its end has 2 inputs"):
        last_layer(keras.Model(INPUT, layers.Add(name='sum')([one, two])))
    with pytest.raises(UsageError, match='it has 2 outputs'):
        last_layer(keras.Model(INPUT, [one, two]))
