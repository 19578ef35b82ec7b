"""Cross-layer equalization: the network computes the same, and channels have equal ranges."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.post_training.equalization import Pair, equalize, factors, limited, pairs
from pocketflow.utils.graph import copied

k = keras.layers


def test_factors_make_both_ranges_equal():
    first, second = np.array([8.0, 0.5, 3.0, 0.0]), np.array([2.0, 2.0, 0.0, 1.0])
    divisors = factors(first, second)
    np.testing.assert_allclose(divisors, [2, 0.5, 1, 1])  # sqrt(16) / 2, sqrt(1) / 2
    np.testing.assert_allclose((first / divisors)[:2], (second * divisors)[:2])


def test_factors_below_the_limit_of_a_relu6():
    largest = np.array([3.0, 3.0, 6.5, -1.0])
    divisors = limited(np.array([0.1, 2.0, 0.1, 0.1]), largest)
    np.testing.assert_allclose(divisors, [0.5, 2.0, 1.0, 0.1])
    assert ((largest / divisors)[:2] <= 6).all()


def network(limit: float | None) -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    features = k.ReLU(limit, name='relu1')(k.Conv2D(5, 3, name='conv')(inputs))
    features = k.ReLU(limit, name='relu2')(k.DepthwiseConv2D(3, depth_multiplier=2, name='depthwise')(features))
    features = k.Conv2D(6, 1, name='pointwise')(k.ZeroPadding2D()(features))
    branch = k.Conv2D(6, 1, name='branch')(features)  # `pointwise` has two readers
    total = k.GlobalAveragePooling2D()(k.ReLU()(k.Conv2D(4, 1, name='last')(k.Add()([features, branch]))))
    return keras.Model(inputs, k.Dense(3, name='logits')(total))


@pytest.mark.parametrize('limit', [None, 6.0])
def test_an_equalized_network_computes_the_same(limit):
    keras.utils.set_random_seed(0)
    model, rng = network(limit), np.random.default_rng(0)
    model.set_weights([weight * 3 * rng.uniform(0.2, 1, weight.shape[-1]) for weight in model.get_weights()])
    expected = [('conv', 'depthwise'), ('depthwise', 'pointwise')]
    is_limited = limit is not None
    assert pairs(model) == [*(Pair(*names, is_limited) for names in expected), Pair('last', 'logits', False)]
    images = rng.normal(size=(20, 8, 8, 3)).astype(np.float32)
    equal = copied(model)
    assert equalize(equal, images) == 3
    wanted = model(images).numpy()
    np.testing.assert_allclose(equal(images).numpy(), wanted, atol=1e-5 * np.ptp(wanted))
    assert np.abs(equal.get_layer('conv').kernel - model.get_layer('conv').kernel).max() > 0.1
    if not is_limited:
        writes = np.abs(equal.get_layer('depthwise').depthwise_kernel.numpy()).max((0, 1)).reshape(-1)
        reads = np.abs(equal.get_layer('pointwise').kernel.numpy()).max((0, 1, 3))
        np.testing.assert_allclose(writes, reads, rtol=0.02)
