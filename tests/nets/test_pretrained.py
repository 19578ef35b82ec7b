"""Networks with the weights of tf_keras.applications compute what those networks compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tf_keras as keras
from tf_keras.src.applications import resnet

from pocketflow.nets.pretrained import application, cache_folder, cached_model, copy_in_order
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.models.files import load_model
from tests.nets.conftest import assert_same_logits, helper, with_random_weights

applications = keras.applications
SIZE = 32


def test_the_kernel_of_a_last_convolution_becomes_that_of_a_dense_layer():
    layers = keras.layers
    inputs = layers.Input((SIZE, SIZE, 3))
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs)))
    theirs = with_random_weights(keras.Model(inputs, layers.Conv2D(1000, 1)(pooled)))
    ours = [layers.Input((SIZE, SIZE, 3)), layers.Conv2D(4, 3), layers.BatchNormalization()]
    model = keras.Sequential([*ours, layers.GlobalAveragePooling2D(), layers.Dense(1000)])
    copy_in_order(theirs, model)
    assert_same_logits(model, theirs)


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


def test_the_file_in_the_cache_is_used(keras_cache):
    (keras_cache / 'mobilenet.h5').write_bytes(b'weights')
    assert application(fetching('nowhere.invalid'), 'imagenet') == str(keras_cache / 'mobilenet.h5')


def test_the_network_is_kept(keras_cache, monkeypatch):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    options = {'pretrained': 'keras_applications', 'depth_multiplier': 0.25}
    pair = helper('mobilenet_at_ilsvrc12', data={'image_size': '64,32', 'num_outputs': 1000}, **options)
    monkeypatch.setattr(pair, 'pretrained_network', lambda: model)
    path = pair.pretrained_file()
    assert path == keras_cache / 'pocketflow_mobilenet_v1_0.25-64x32.keras'
    np.testing.assert_array_equal(load_model(path).get_weights()[0], model.get_weights()[0])
    assert cached_model('mobilenet_v1_0.25-64x32', lambda: pytest.fail('it is there already')) == path


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
    assert_same_logits(pair.pretrained_network(), theirs)
    assert pair.pretrained_scale(pair.net) == ('caffe' if version == '1' else '-1-1')
