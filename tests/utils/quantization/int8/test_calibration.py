"""Ranges of activations, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.quantization.int8 import calibration
from pocketflow.utils.quantization.int8.calibration import observed_ranges

layers = keras.layers


@pytest.fixture
def model() -> keras.Model:
    inputs = layers.Input((1,))
    shifted = layers.Rescaling(1.0, 3.0, name='shifted')(inputs)
    zero = layers.Rescaling(0.0, name='zero')(inputs)
    return keras.Model(inputs, [layers.Rescaling(-2.0, name='scaled')(shifted), zero])


def test_extremes_of_batches_are_averaged_and_zero_is_within(model, monkeypatch):
    monkeypatch.setattr(calibration, 'BATCH_SIZE', 2)
    images = np.array([[-1], [1], [-7], [2]], np.float32)  # + 3: 2 and 4, then -4 and 5
    ranges = observed_ranges(model, ['shifted', 'scaled', 'zero'], images)
    assert ranges == {'shifted': (-2.0, 4.5), 'scaled': (-9.0, 4.0), 'zero': (0.0, 0.0)}
