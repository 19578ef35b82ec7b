from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.graph.single_output import two_logits_of, with_single_logit, with_two_logits
from pocketflow.utils.models.files import load_model, save_model
from pocketflow.utils.quantization.int8.wrapping import quantization_aware

IMAGES = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


@pytest.fixture
def model() -> keras.Model:
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Dense(1, name='last')(inputs), name='net')


def test_two_logits_and_back(model, tmp_path):
    two = with_two_logits(model)
    np.testing.assert_array_equal(two(IMAGES), two_logits_of(np.asarray(model(IMAGES))))
    np.testing.assert_allclose(tf.nn.softmax(two(IMAGES))[:, 1], tf.sigmoid(model(IMAGES)[:, 0]), atol=1e-6)
    assert (two.name, two.output_shape, two.count_params()) == ('net', (None, 2), 4)
    save_model(two, tmp_path / 'two.keras')
    single = with_single_logit(load_model(tmp_path / 'two.keras'))
    np.testing.assert_array_equal(single(IMAGES), model(IMAGES))


def test_a_wrapped_last_layer_is_found(model):
    single = with_single_logit(quantization_aware(with_two_logits(model), IMAGES))
    assert np.abs(single(IMAGES) - model(IMAGES)).max() < 0.05 and single.output_shape == (None, 1)


def test_other_models_have_no_single_logit(model):
    with pytest.raises(ValueError, match="model 'net' does not end in the logits of two classes"):
        with_single_logit(model)
