from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.utils.quantization.int8.prepare import prepare

layers = keras.layers


def test_a_norm_that_is_called_in_inference_mode_becomes_part_of_its_dense_layer():
    inputs = layers.Input((4,))
    outputs = layers.BatchNormalization(name='bn')(layers.Dense(3, name='dense')(inputs), training=False)
    model = keras.Model(inputs, layers.Dense(2, name='last')(outputs))
    model.get_layer('bn').set_weights(
        [np.array(values, np.float32) for values in ([1, 2, 3], [0, 1, 0], [0.5, 0, 1], [1, 4, 2])]
    )
    prepared = prepare(model)
    assert 'bn' not in {layer.name for layer in prepared.layers}
    samples = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(prepared(samples), model(samples), atol=1e-5)
