"""A network and its rounded copy, layer by layer."""

from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.learners.post_training.lockstep import MEMORY, lockstep, most_images
from pocketflow.utils.graph import copied

k = keras.layers


def network() -> keras.Model:
    first, second = keras.Input((3,), name='first'), keras.Input((3,), name='second')
    shared = k.Dense(3, name='shared')
    total = k.Add()([shared(first), shared(second)])
    return keras.Model([first, second], k.Dense(2, name='last')(total))


def test_later_layers_see_the_decisions_on_earlier_ones():
    plain = network()
    rounded, rng = copied(plain), np.random.default_rng(0)
    arrays = [rng.normal(size=(70, 3)).astype(np.float32) for _ in plain.inputs]
    seen = []

    def decide(reached):
        seen.append(reached)
        kernel, bias = reached.plain.get_weights()
        reached.rounded.set_weights([np.round(kernel, 1), bias])

    lockstep(plain, rounded, arrays, decide)
    assert [reached.plain.name for reached in seen] == ['shared', 'last']  # a shared layer is decided once
    first, last = seen
    np.testing.assert_array_equal(first.inputs, arrays[0])
    np.testing.assert_allclose(last.outputs, plain(arrays).numpy(), atol=1e-6)
    shared = rounded.get_layer('shared')
    np.testing.assert_allclose(last.inputs, (shared(arrays[0]) + shared(arrays[1])).numpy(), atol=1e-6)


def test_number_of_images_that_fit_into_memory():
    inputs = keras.Input((100, 100, 1))
    model = keras.Model(inputs, k.Flatten()(k.Conv2D(3, 1)(inputs)))
    # A map and its flattened copy, of 30,000 numbers each, in both networks.
    assert most_images(model) == MEMORY // (2 * 4 * 60_000)
