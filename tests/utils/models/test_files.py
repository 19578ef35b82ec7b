"""What is still read: everything that Keras writes, unless it holds code."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from tf_keras.src.applications.convnext import LayerScale, StochasticDepth

from pocketflow.utils.errors import UsageError
from pocketflow.utils.models.files import load_model, save_model

layers = keras.layers


@keras.saving.register_keras_serializable(package='FilesTest')
class Scaled(keras.layers.Layer):
    """A user's own layer, with a table that is a weight but no parameter."""

    def __init__(self, factor: float, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape) -> None:
        self.table = self.add_weight('table', (4,), initializer=keras.initializers.Constant(3.0), trainable=False)

    def call(self, inputs):
        return inputs * self.factor + self.table

    def get_config(self):
        return {**super().get_config(), 'factor': self.factor}


@keras.saving.register_keras_serializable(package='FilesTest')
def doubled(values: tf.Tensor) -> tf.Tensor:
    return 2 * values


def on_images(function) -> keras.Model:
    inputs = keras.Input((8, 8, 4), name='images')
    return keras.Model(inputs, function(inputs))


def on_steps(function) -> keras.Model:
    inputs = keras.Input((6, 4), name='steps')
    return keras.Model(inputs, function(inputs))


def with_nested_models() -> keras.Model:
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.BatchNormalization()], name='inner')
    inner.compile('adam', 'mse')
    inputs = keras.Input((4,))
    model = keras.Model(inputs, inner(layers.Dense(4)(inner(inputs))))
    model.compile('sgd', 'mse')
    return model


def called_in_turns() -> keras.Model:
    inputs = keras.Input((4,))
    one, two, stream = layers.Dense(4, name='one'), layers.Dense(4, name='two'), inputs
    for _ in range(3):
        stream = two(one(stream))
    return keras.Model(inputs, {'last': stream, 'sum': layers.Add()([stream, inputs])})


MODELS = {
    'hard swish': lambda: on_images(lambda x: x * tf.nn.relu6(x + 3.0) / 6.0),
    'operators': lambda: on_images(lambda x: tf.concat([1.0 - x[:, ::2, :, 1:3], tf.split(x, 2, -1)[0][:, 1::2]], -1)),
    'reshaped': lambda: on_images(lambda x: tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [tf.shape(x)[0], -1])),
    'functions': lambda: on_images(
        lambda x: tf.pad(
            tf.image.resize(tf.reduce_mean(x, -1, keepdims=True), (4, 4)), [[0, 0], [1, 1], [0, 0], [0, 0]]
        )
    ),
    'attention': lambda: on_steps(lambda x: tf.matmul(tf.nn.softmax(tf.matmul(x, x, transpose_b=True)), x)),
    'activations': lambda: on_images(
        lambda x: layers.Dense(3, activation=tf.nn.relu6)(
            layers.Conv2D(4, 3, activation=layers.LeakyReLU(0.2))(layers.Dense(4, activation=doubled)(x))
        )
    ),
    'settings': lambda: on_images(
        layers.Conv2D(
            2,
            3,
            kernel_regularizer='l1_l2',
            kernel_initializer=tf.constant_initializer(0.5),
            kernel_constraint='max_norm',
            bias_initializer='ones',
            dtype='mixed_bfloat16',
        )
    ),
    'separable': lambda: on_images(lambda x: layers.Conv2DTranspose(2, 2)(layers.SeparableConv2D(3, 3)(x))),
    'preprocessing': lambda: on_images(
        lambda x: layers.RandomFlip()(
            layers.Resizing(4, 4)(
                layers.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0] * 4)(layers.Rescaling(1 / 255)(x))
            ),
            training=False,
        )
    ),
    'recurrent': lambda: on_steps(
        lambda x: layers.Bidirectional(layers.LSTM(3, unroll=True))(
            layers.TimeDistributed(layers.Dense(3))(
                layers.RNN([layers.LSTMCell(3), layers.GRUCell(4)], return_sequences=True)(x)
            )
        )
    ),
    'heads': lambda: on_steps(lambda x: layers.LayerNormalization()(layers.MultiHeadAttention(2, 3)(x, x))),
    'own layer': lambda: on_images(Scaled(2.0)),
    'nested': with_nested_models,
    'in turns': called_in_turns,
    'sequential': lambda: keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.ReLU(6.0)]),
}


def samples_of(model: keras.Model) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype(np.float32)


@pytest.mark.parametrize('kind', MODELS)
@pytest.mark.parametrize('suffix', ['.keras', '.h5'])
@pytest.mark.filterwarnings('ignore:You are saving your model as an HDF5 file')
def test_a_model_comes_back(tmp_path, kind, suffix):
    model, path = MODELS[kind](), tmp_path / f'model{suffix}'
    if suffix == '.keras':
        save_model(model, path)
    else:
        model.save(path, save_format='h5')
    back = load_model(path)
    assert back.optimizer is None
    assert [weight.shape for weight in back.weights] == [weight.shape for weight in model.weights]
    for one, two in zip(model.get_weights(), back.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    samples = samples_of(model)
    tf.nest.map_structure(np.testing.assert_array_equal, model(samples), back(samples))


def test_an_application_comes_back_as_keras_reads_it(tmp_path):
    model = keras.applications.MobileNet(input_shape=(32, 32, 3), weights=None, classes=3, alpha=0.25)
    save_model(model, tmp_path / 'model.keras')
    path = tmp_path / 'model.keras'
    ours, theirs = load_model(path), keras.models.load_model(path, compile=False)
    assert ours.get_config() == theirs.get_config()
    assert [weight.name for weight in ours.weights] == [weight.name for weight in theirs.weights]
    for one, two in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_layers_of_applications_that_keras_does_not_register(tmp_path):
    model = on_images(lambda x: LayerScale(0.5, 4, name='scale')(StochasticDepth(0.1, name='depth')(x)))
    save_model(model, tmp_path / 'model.keras')
    back = load_model(tmp_path / 'model.keras')
    np.testing.assert_array_equal(back(samples_of(model)), model(samples_of(model)))


def test_own_layers_must_be_registered(tmp_path):
    class Unknown(keras.layers.Layer):
        pass

    save_model(on_images(Unknown(name='mine')), tmp_path / 'model.keras')
    with pytest.raises(UsageError, match="needs 'Unknown'.*register it in your --model_helper file .in layer 'mine'"):
        load_model(tmp_path / 'model.keras')
