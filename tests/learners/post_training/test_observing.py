"""Histograms of the outputs of layers, and ranges from them."""

from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.learners.post_training.observing import NUM_BINS, chosen_ranges, histograms, input_range


def doubling() -> keras.Model:
    """Outputs twice its inputs, where these are positive, and a layer that is always zero."""
    inputs = keras.Input((2,))
    doubled = keras.layers.Dense(2, kernel_initializer=keras.initializers.Identity(2.0), name='doubled')(inputs)
    zero = keras.layers.Dense(1, kernel_initializer='zeros', name='zero')(inputs)
    return keras.Model(inputs, [keras.layers.ReLU(name='output')(doubled), zero])


def test_histograms_count_all_values():
    images = np.linspace(0, 1, 200, dtype=np.float32).reshape(100, 2)
    counts = histograms(doubling(), ['doubled'], images, np.array([0.0], np.float32), np.array([2.0], np.float32))
    assert counts.shape == (1, NUM_BINS) and counts.sum() == 200
    assert counts[0, : NUM_BINS // 2].sum() == 100 and counts[0, -1] == 1


def test_chosen_ranges():
    images = np.tile(np.float32([[0.5, -0.25]]), (10_000, 1))
    images[7] = 50, 0
    model = doubling()
    ranges = chosen_ranges(model, ['doubled', 'zero'], images, 'minmax')
    assert ranges == {'doubled': (-0.5, 100.0), 'zero': (0.0, 0.0)}
    ranges = chosen_ranges(model, ['doubled', 'output'], images, 'percentile')
    assert ranges['doubled'][0] == -0.5 and 1 < ranges['doubled'][1] < 1.1
    assert ranges['output'] == (0.0, 100.0)  # outputs of the model are not clipped


def test_range_of_an_input():
    assert input_range(np.zeros((3, 2), np.float32), 'mse') == (0.0, 0.0)
    assert input_range(np.float32([[-1, 3]]), 'minmax') == (-1.0, 3.0)
