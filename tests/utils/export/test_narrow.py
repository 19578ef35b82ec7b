"""Files with int4 weights, made of int8 files."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.narrow import with_int4_weights
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.export.weights import Weights
from pocketflow.utils.quantization.int8.wrapping import Settings, quantization_aware

k = keras.layers


@pytest.fixture(scope='module')
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(20, 8, 8, 3)).astype(np.float32)


@pytest.fixture(scope='module')
def content(images) -> bytes:
    """An int8 file; all layers but `wide` have codes of 4 bits, with odd numbers of weights."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    features = k.Conv2D(5, 3, name='conv')(inputs)
    features = k.DepthwiseConv2D(3, name='depthwise')(k.Conv2D(7, 1, activation='relu', name='wide')(features))
    model = keras.Model(inputs, k.Dense(3, name='logits')(k.GlobalAveragePooling2D()(features)))
    widths = {'conv': 4, 'depthwise': 4, 'logits': 3}
    return convert(quantization_aware(model, images, Settings(widths)), 'int8')


def test_narrow_weights_take_half_the_bytes_and_keep_their_codes(content):
    packed = with_int4_weights(content)
    before, after = Weights(content), Weights(packed)
    for one, other in zip(before.operators(), after.operators(), strict=True):
        is_wide = 'wide' in one.layers
        assert after.type_of(other) == ('INT8' if is_wide else 'INT4')
        np.testing.assert_array_equal(before.codes(one), after.codes(other))
        np.testing.assert_array_equal(before.read(one), after.read(other))
    saved = sum(size // 2 for size in (5 * 27, 7 * 9, 3 * 7))
    assert abs(len(content) - len(packed) - saved) < 64  # alignment
    assert with_int4_weights(packed) == packed


def test_the_file_computes_the_same_up_to_the_rounding_of_its_kernels(content, images):
    one, other = LiteRtRunner(content).predict(images), LiteRtRunner(with_int4_weights(content)).predict(images)
    assert np.abs(one - other).max() <= 0.02 * np.ptp(one)
