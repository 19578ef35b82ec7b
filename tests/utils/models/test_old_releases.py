"""HDF5 files of Keras 2, as its later and its older releases wrote them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.models.files import load_model
from tests.utils.models.conftest import legacy

layers = keras.layers
pytestmark = pytest.mark.filterwarnings('ignore:You are saving your model as an HDF5 file')


def trained(model: keras.Model) -> keras.Model:
    """The model with weights of its own, and with an optimizer whose state is saved too."""
    model.compile('adam', 'mse')
    samples = np.random.default_rng(0).normal(size=(8, *model.input_shape[1:])).astype(np.float32)
    model.fit(samples, np.zeros((8, *model.output_shape[1:])), verbose=0)
    return model


def functional() -> keras.Model:
    inputs = keras.Input((6, 6, 3), name='images')
    x = layers.Conv2D(4, 3, padding='same', activation='relu', name='conv')(inputs)
    x = layers.Add(name='sum')([layers.BatchNormalization(name='norm')(x), x])
    return trained(keras.Model(inputs, layers.Dense(2, name='out')(layers.Flatten(name='flat')(x)), name='net'))


def sequential() -> keras.Model:
    return trained(keras.Sequential([keras.Input((5,)), layers.Dense(4, name='one'), layers.Dense(2, name='two')]))


def rewritten(path: Path, change: Callable[[dict], Any], version: str) -> Path:
    """Alters the architecture in a file, and says that another release wrote it."""
    with h5py.File(path, 'r+') as file:
        config = legacy(json.loads(file.attrs['model_config']))
        file.attrs['model_config'] = json.dumps(change(config) or config).encode()
        file.attrs['keras_version'] = version.encode()
        assert 'optimizer_weights' in file
    return path


def as_in_2_2(config: dict) -> None:
    """A functional model as Keras 2.2 described it."""
    config['class_name'] = 'Model'
    for layer in config['config']['layers']:
        settings = layer['config']
        for key in ('dtype', 'groups', 'ragged'):
            settings.pop(key, None)
        if layer['class_name'] == 'BatchNormalization':
            settings['axis'] = 3
        if 'kernel_initializer' in settings:
            glorot = {'scale': 1.0, 'mode': 'fan_avg', 'distribution': 'uniform', 'seed': None}
            settings['kernel_initializer'] = {'class_name': 'VarianceScaling', 'config': glorot}


def without_input_layer(config: dict) -> None:
    """A sequential model whose first layer has the shape of the inputs."""
    first, second, *_ = config['config']['layers']
    second['config']['batch_input_shape'] = first['config']['batch_input_shape']
    del config['config']['layers'][0]


def as_a_list(config: dict) -> dict:
    """A sequential model as Keras 2.1 described it."""
    without_input_layer(config)
    return {'class_name': 'Sequential', 'config': config['config']['layers']}


@pytest.mark.parametrize(
    ('make', 'change', 'version'),
    [
        (functional, lambda config: None, '2.15.0'),
        (functional, as_in_2_2, '2.2.4'),
        (sequential, without_input_layer, '2.2.4-tf'),
        (sequential, as_a_list, '2.1.6'),
    ],
    ids=['2.15', '2.2', 'without InputLayer', 'a list'],
)
def test_a_file_of_an_older_release_is_read(tmp_path, make, change, version):
    model, path = make(), tmp_path / 'model.h5'
    model.save(path, save_format='h5')
    back = load_model(rewritten(path, change, version))
    samples = np.random.default_rng(1).normal(size=(3, *model.input_shape[1:])).astype(np.float32)
    assert [weight.shape for weight in back.weights] == [weight.shape for weight in model.weights]
    np.testing.assert_array_equal(back(samples), model(samples))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda group: group['conv'].attrs.update(weight_names=[b'conv/kernel:0']), 'expects 2 weight'),
        (lambda group: group.attrs.update(layer_names=[b'conv', b'norm']), 'found 2 saved layers'),
        (lambda group: group['out'].attrs.update(weight_names=[b'out/bias:0', b'out/kernel:0']), 'Shape mismatch'),
    ],
    ids=['fewer weights', 'fewer layers', 'another order'],
)
def test_weights_have_to_fit(tmp_path, change, message):
    path = tmp_path / 'model.h5'
    functional().save(path, save_format='h5')
    with h5py.File(path, 'r+') as file:
        change(file['model_weights'])
    with pytest.raises(UsageError, match=message) as error:
        load_model(path)
    assert '\n' not in str(error.value)
