"""Networks of Keras 3 compute the same here, whatever they are made of."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import standard_form
from pocketflow.utils.models.files import load_model, load_weights, save_model
from pocketflow.utils.models.weights_only import is_weights_only
from tests.utils.models.keras3.outputs import samples_and_outputs

KINDS = {
    'plain_cnn': 1, 'residual': 2, 'depthwise': 1, 'normalized': 1, 'one_dimensional': 1, 'recurrent': 1,
    'attention': 2, 'text': 1, 'backbone': 2, 'preprocessing': 1, 'activated': 1, 'operators': 3, 'functions': 2,
    'mobilenet': 1, 'compiled': 1, 'small': 1, 'own': 1,
}  # fmt: skip
"""Number of outputs."""


def check(model: keras.Model, keras3_folder, kind: str) -> None:
    """Compares all outputs of a model with those of Keras 3."""
    samples, wanted = samples_and_outputs(keras3_folder, kind)
    found = tf.nest.flatten(model(samples if len(samples) > 1 else samples[0], training=False))
    assert len(found) == len(wanted) == KINDS[kind]
    for one, two in zip(found, wanted, strict=True):
        assert np.ptp(two) > 1e-3
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-5 * np.ptp(two))


FILES = [f'{kind}.keras' for kind in KINDS] + [f'{kind}.h5' for kind in KINDS if kind not in ('mobilenet', 'text')]


@pytest.mark.parametrize('name', FILES)
def test_a_network_computes_the_same(keras3_folder, name):
    check(load_model(keras3_folder / name), keras3_folder, name.split('.')[0])


@pytest.mark.parametrize('kind', ['backbone', 'operators', 'functions', 'normalized', 'preprocessing'])
def test_it_can_be_flattened_and_saved(keras3_folder, tmp_path, kind):
    model = standard_form(load_model(keras3_folder / f'{kind}.keras')).model
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    save_model(model, tmp_path / 'model.keras')
    check(load_model(tmp_path / 'model.keras'), keras3_folder, kind)


def test_a_softmax_is_taken_off(keras3_folder):
    form = standard_form(load_model(keras3_folder / 'plain_cnn.keras'))
    assert form.head.function == 'softmax'
    samples, (wanted,) = samples_and_outputs(keras3_folder, 'plain_cnn')
    np.testing.assert_allclose(tf.nn.softmax(form.model(samples[0])), wanted, atol=1e-6)


def test_layers_keep_what_matters_in_training(keras3_folder):
    model = load_model(keras3_folder / 'residual.keras')
    assert not model.get_layer('bn0').trainable and model.get_layer('bn1').trainable
    assert len(model.get_layer('twice').inbound_nodes) == 2
    plain = load_model(keras3_folder / 'plain_cnn.h5')
    first = next(layer for layer in plain.layers if hasattr(layer, 'filters'))
    np.testing.assert_allclose(first.kernel_regularizer.l2, 0.01)
    assert [layer.rate for layer in plain.layers if isinstance(layer, keras.layers.Dropout)] == [0.3]
    assert not load_model(keras3_folder / 'normalized.keras').get_layer('frozen').trainable
    backbone = load_model(keras3_folder / 'backbone.keras')
    assert [node.call_kwargs.get('training') for node in backbone.get_layer('inner').inbound_nodes].count(False) == 1


def test_an_augmentation_that_only_keras_3_has_is_left_out_with_a_warning(keras3_folder, caplog):
    load_model(keras3_folder / 'preprocessing.keras')
    assert "'random_color_jitter' (RandomColorJitter) is an augmentation" in caplog.text


@pytest.mark.parametrize('kind', ['residual', 'backbone', 'compiled', 'preprocessing'])
def test_weights_alone_are_read_into_the_same_network(keras3_folder, kind):
    model = load_model(keras3_folder / f'{kind}.keras')
    for weight in model.weights:
        weight.assign(tf.zeros_like(weight))
    assert is_weights_only(keras3_folder / f'{kind}.weights.h5')
    load_weights(model, keras3_folder / f'{kind}.weights.h5')
    check(model, keras3_folder, kind)


def test_weights_of_another_network_are_refused(keras3_folder):
    with pytest.raises(UsageError, match='its weights cannot be read into the network .* and the file holds'):
        load_weights(load_model(keras3_folder / 'compiled.keras'), keras3_folder / 'plain_cnn.weights.h5')


@keras.saving.register_keras_serializable(package='Keras3Test')
class Scaled(keras.layers.Layer):
    """A user's layer, as the --model_helper file of that user registers it for tf_keras."""

    def __init__(self, power: int, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def build(self, input_shape) -> None:
        self.dense = keras.layers.Dense(3)
        self.dense.build(input_shape)
        self.table = self.add_weight('table', (3,), trainable=False)
        self.factor = self.add_weight('factor', (3,))
        super().build(input_shape)

    def call(self, inputs):
        return self.dense(inputs) ** self.power * self.factor + self.table

    def get_config(self):
        return {**super().get_config(), 'power': self.power}


def test_it_has_to_be_registered(keras3_folder, monkeypatch):
    monkeypatch.delitem(keras.saving.get_custom_objects(), 'Keras3Test>Scaled')
    with pytest.raises(UsageError, match="needs the class 'Keras3Test>Scaled', .* --model_helper"):
        load_model(keras3_folder / 'own.keras')
