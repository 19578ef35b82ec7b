"""Files of weights without an architecture, read into a network that is built already."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.models.files import load_weights
from pocketflow.utils.models.weights_only import is_weights_only

layers = keras.layers


def network(seed: int, second: int = 4, names: tuple[str, str] = ('one', 'two')) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(second, name=names[1]), layers.BatchNormalization()], name='in'
    )
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(3, name='last')(inner(layers.Dense(4, name=names[0])(inputs)) + 1.0))
    for weight in model.weights:
        weight.assign(tf.random.uniform(weight.shape))
    return model


def same(one: keras.Model, two: keras.Model) -> bool:
    return all(np.array_equal(*pair) for pair in zip(one.get_weights(), two.get_weights(), strict=True))


@pytest.mark.parametrize('name', ['w.h5', 'w.weights.h5'])
@pytest.mark.parametrize('names', [('one', 'two'), ('other', 'names')])
def test_those_of_keras_2_are_read(tmp_path, name, names):
    model, path = network(1), tmp_path / name
    model.save_weights(path)
    back = network(2, names=names)
    assert is_weights_only(path) and not same(model, back)
    load_weights(back, path)
    assert same(model, back)


def test_layers_of_equal_names_take_their_own_weights_in_any_order(tmp_path):
    first = keras.Sequential([keras.Input((4,)), layers.Dense(4, name='a'), layers.Dense(4, name='b')])
    second = keras.Sequential([keras.Input((4,)), layers.Dense(4, name='b'), layers.Dense(4, name='a')])
    first.save_weights(tmp_path / 'w.h5')
    load_weights(second, tmp_path / 'w.h5')
    np.testing.assert_array_equal(second.get_layer('a').kernel, first.get_layer('a').kernel)


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('w.h5', r"layer 'in' has weights of the shapes \(4, 5\)"),
        ('w.weights.h5', "layer 'two' has weights of the shapes"),
    ],
)
def test_other_networks_are_refused(tmp_path, name, message):
    path = tmp_path / name
    network(1).save_weights(path)
    with pytest.raises(UsageError, match=message) as error:
        load_weights(network(1, second=5), path)
    assert str(error.value).startswith(f'{path}: its weights cannot be read into the network')


def test_no_layer_is_left_out(tmp_path):
    path = tmp_path / 'w.h5'
    network(1).save_weights(path)
    with h5py.File(path, 'r+') as file:
        file.attrs['layer_names'] = [b'one']
    with pytest.raises(UsageError, match='it holds the weights of 1 layers, and the network has 3 with any'):
        load_weights(network(1), path)


def test_whole_models_and_other_files_are_no_such_files(tmp_path, recwarn):
    network(1).save(tmp_path / 'model.h5', save_format='h5')
    (tmp_path / 'text.h5').write_text('text')
    (tmp_path / 'damaged.h5').write_bytes(b'\x89HDF\r\n\x1a\n' + bytes(100))
    assert not any(is_weights_only(path) for path in tmp_path.iterdir())
