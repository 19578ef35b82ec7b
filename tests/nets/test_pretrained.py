"""Networks with the weights of tf_keras.applications compute what those networks compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tf_keras as keras
from tf_keras.src.applications import resnet

from pocketflow.nets.mobilenet_v2 import mobilenet_v2
from pocketflow.nets.pretrained import application, cache_folder, cached_model, copy_in_order
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.models.files import load_model
from tests.nets.conftest import helper

applications = keras.applications
SIZE = 32


def with_random_weights(model: keras.Model) -> keras.Model:
    """All weights are random: Keras begins with biases and means of zero, and variances of one."""
    rng = np.random.default_rng(0)
    old = model.get_weights()
    model.set_weights([rng.uniform(0.5, 1.5, array.shape) * np.where(array == 0, 0.1, array) for array in old])
    return model


def assert_same_outputs(model: keras.Model, theirs: keras.Model) -> None:
    images = np.random.default_rng(1).uniform(-1, 1, (2, *model.input_shape[1:])).astype(np.float32)
    expected = theirs(images, training=False).numpy().reshape(2, 1000)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(model(images, training=False), expected, rtol=0, atol=1e-5 * np.ptp(expected))


def test_mobilenet_v2_computes_the_same():
    shape = (SIZE, SIZE, 3)
    theirs = with_random_weights(application(applications.MobileNetV2, None, alpha=0.35, input_shape=shape))
    model = mobilenet_v2(shape, 1000, 0.35, wide_end=True)
    copy_in_order(theirs, model)
    assert_same_outputs(model, theirs)


def test_other_networks_are_rejected():
    one, other = keras.Sequential([keras.layers.Dense(2)]), keras.Sequential([keras.layers.Dense(3)])
    one.build((None, 4))
    other.build((None, 4))
    with pytest.raises(PocketFlowError, match=r'arrays of the shapes \[\(4, 2\), \(2,\)\]; .* needs \[\(4, 3\), \(3,'):
        copy_in_order(one, other)


@pytest.fixture
def keras_cache(tmp_path, monkeypatch):
    """An empty cache of Keras, and no network."""

    def offline(*_, **__):
        raise OSError('Network is unreachable')

    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setattr('tf_keras.src.utils.data_utils.urlretrieve', offline)
    cache_folder().mkdir(parents=True)
    return cache_folder()


def fetching(folder: str) -> Callable[..., keras.Model]:
    """A function as those of Keras, of which only the download matters."""

    def MobileNet(weights: str, classifier_activation: None) -> keras.Model:
        return keras.utils.get_file('mobilenet.h5', f'https://{folder}/mobilenet.h5', cache_subdir='models')

    return MobileNet


def test_without_a_network_one_line_says_what_to_do(keras_cache):
    begin = '^--pretrained=keras_applications: the weights of MobileNet cannot be read or downloaded .*unreachable'
    with pytest.raises(PocketFlowError, match=begin) as raised:
        application(fetching('nowhere.invalid'), 'imagenet')
    assert f'put their .h5 file into {keras_cache}, or give a trained network by --save_path' in str(raised.value)
    assert raised.value.exit_code == 1 and '\n' not in str(raised.value)


def test_the_file_in_the_cache_is_used_and_the_network_is_kept(keras_cache):
    theirs = with_random_weights(application(applications.MobileNet, None, alpha=0.25))
    theirs.save_weights(keras_cache / 'mobilenet_2_5_224_tf.h5')
    options = {'pretrained': 'keras_applications', 'depth_multiplier': 0.25}
    pair = helper('mobilenet_at_ilsvrc12', data={'num_outputs': 1000}, **options)
    path = pair.pretrained_file()
    assert path == keras_cache / 'pocketflow_mobilenet_v1_0.25-224x224.keras'
    assert_same_outputs(load_model(path), theirs)
    assert cached_model('mobilenet_v1_0.25-224x224', lambda: pytest.fail('it is there already')) == path


@pytest.mark.parametrize('version', ['1', '2'])
def test_resnets_are_built_as_theirs(version, monkeypatch):
    """The pair's network has the weights of theirs in the same order, for images of any size; one block, for speed."""
    stack = {'1': resnet.stack1, '2': resnet.stack2}[version]

    def tiny(**settings) -> keras.Model:
        settings['weights'] = None
        return resnet.ResNet(lambda x: stack(x, 8, 2, name='one'), version == '2', True, 'tiny', **settings)

    monkeypatch.setattr('pocketflow.nets.resnet_at_ilsvrc12.PRETRAINED', {(version, 50): tiny})
    theirs = with_random_weights(tiny(input_shape=(SIZE, SIZE, 3), classifier_activation=None))
    monkeypatch.setattr('pocketflow.nets.resnet_at_ilsvrc12.weights_of', lambda *_: theirs.get_weights())
    data = {'image_size': f'{SIZE},{SIZE}', 'num_outputs': 1000}
    pair = helper('resnet_at_ilsvrc12', data=data, size=50, version=version, pretrained='keras_applications')
    assert_same_outputs(pair.pretrained_network(), theirs)
    assert pair.pretrained_scale(pair.net) == ('caffe' if version == '1' else '-1-1')
