"""Pairs at ILSVRC-12 take the images and classes of a given network, or those of pretrained weights."""

from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.datasets.ilsvrc12_options import Ilsvrc12Options
from pocketflow.nets.abstract_model_helper import GivenFile
from pocketflow.nets.mobilenet_at_ilsvrc12 import MobilenetAtIlsvrc12
from pocketflow.nets.mobilenet_at_ilsvrc12_options import MobilenetAtIlsvrc12Options
from pocketflow.utils.errors import UsageError
from pocketflow.utils.models.files import save_model


def pair_of(given: GivenFile | None = None, **net_options) -> MobilenetAtIlsvrc12:
    return MobilenetAtIlsvrc12.of_options(MobilenetAtIlsvrc12Options(**net_options), Ilsvrc12Options(), 0, given)


@pytest.mark.parametrize('outputs', [1000, 1001])
def test_size_and_classes_are_those_of_the_given_network(outputs, tmp_path):
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((24, 32, 3)), layers.GlobalAveragePooling2D(), layers.Dense(outputs, use_bias=False)]
    )
    save_model(model, tmp_path / 'model.keras')
    data = pair_of(GivenFile('model.keras', tmp_path / 'model.keras')).dataset
    assert (data.image_shape, data.num_classes) == ((24, 32, 3), outputs)


def test_without_one_there_is_a_background():
    data = pair_of().dataset
    assert (data.image_shape, data.num_classes, data.scale) == ((224, 224, 3), 1001, 'means')


def test_pretrained_weights_have_no_background_and_their_own_scale():
    data = pair_of(pretrained='keras_applications').dataset
    assert (data.image_shape, data.num_classes, data.scale) == ((224, 224, 3), 1000, '-1-1')


def test_pretrained_weights_have_1000_classes():
    options = MobilenetAtIlsvrc12Options(pretrained='keras_applications')
    with pytest.raises(UsageError, match='--nb_classes=1001: the weights of --pretrained are for 1000 classes'):
        MobilenetAtIlsvrc12.of_options(options, Ilsvrc12Options(num_outputs=1001), 0, None)


def test_without_pretrained_weights_there_is_no_file():
    assert pair_of().pretrained_file() is None
