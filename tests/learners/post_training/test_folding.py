"""Networks of linear layers without batch norms, which compute the same."""

from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.learners.post_training.folding import fold, folded

k = keras.layers


def test_fold_scales_the_outputs():
    kernel, scale = np.array([[1.0, 2.0]], np.float32), np.array([2.0, -1.0], np.float32)
    new, bias = fold(kernel, np.array([1.0, 3.0]), scale, np.array([0.5, 0.0]))
    np.testing.assert_array_equal(new, [[2, -2]])
    np.testing.assert_array_equal(bias, [2.5, -3])
    new, _ = fold(np.ones((1, 1, 2, 1), np.float32), 0.0, scale, np.zeros(2), depthwise=True)
    np.testing.assert_array_equal(new.reshape(-1), scale)


def test_folded_networks_compute_the_same():
    inputs = keras.Input((8, 8, 3))
    features = k.BatchNormalization()(k.Conv2D(6, 3, use_bias=False)(inputs))
    features = k.BatchNormalization()(k.DepthwiseConv2D(3, depth_multiplier=2)(k.ReLU()(features)))
    features = k.SeparableConv2D(8, 3, activation='swish')(features)
    shared = k.Conv2D(8, 1, activation='relu', use_bias=False, name='shared')
    total = k.BatchNormalization(name='apart')(k.Add()([shared(features), shared(shared(features))]))
    total = k.Conv2DTranspose(5, 3, strides=2, use_bias=False)(total)
    vectors = k.BatchNormalization()(k.Dense(7)(k.Flatten()(total)))
    model = keras.Model(inputs, k.Dense(4, activation='relu')(vectors))
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.2, 1, weight.shape) - 0.5 * (weight.ndim > 1) for weight in model.get_weights()])
    plain, images = folded(model), rng.normal(size=(5, 8, 8, 3)).astype(np.float32)
    wanted = model(images).numpy()
    np.testing.assert_allclose(plain(images).numpy(), wanted, atol=1e-5 * np.ptp(wanted))
    kinds = [type(layer).__name__ for layer in plain.layers]
    assert kinds.count('BatchNormalization') == 1 and 'SeparableConv2D' not in kinds
    linear = [layer for layer in plain.layers if hasattr(layer, 'kernel') or hasattr(layer, 'depthwise_kernel')]
    assert all(layer.use_bias and layer.activation is keras.activations.linear for layer in linear)
