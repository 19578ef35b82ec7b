"""ResNet at ILSVRC-12: its name and network follow its flags; trained as published."""

from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.datasets.ilsvrc12_dataset import Ilsvrc12Dataset
from pocketflow.utils.errors import UsageError
from tests.nets.conftest import helper, num_trainable

NUM_TRAIN = 1_281_167


def test_the_learning_rate_is_divided_by_ten_after_30_60_80_and_90_epochs(monkeypatch):
    monkeypatch.setattr(Ilsvrc12Dataset, 'num_trained', NUM_TRAIN)
    pair = helper('resnet_at_ilsvrc12', data={'batch_size': 256})
    schedule, num_steps = pair.setup_lrn_rate()
    assert num_steps == 100 * NUM_TRAIN // 256
    rates = [float(schedule(epoch * NUM_TRAIN // 256)) for epoch in (29, 31, 61, 81, 91)]
    assert rates == pytest.approx([0.1, 0.01, 0.001, 0.0001, 0.00001])


def test_the_default_is_resnet_18_of_the_original_program():
    """The specification's count for 1001 classes: a class and a projection in the first group, more than 1.5."""
    pair = helper('resnet_at_ilsvrc12')
    model = pair.build_model()
    assert pair.model_name == 'resnet_18' and model.output_shape == (None, 1001)
    assert num_trainable(model) == 11_692_329
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers) == 21
    shapes = [model.get_layer(f'group{group}_block2_add').output_shape[1:] for group in (1, 2, 3, 4)]
    assert shapes == [(56, 56, 64), (28, 28, 128), (14, 14, 256), (7, 7, 512)]


def test_the_name_has_the_version():
    assert helper('resnet_at_ilsvrc12', size=34, version='1.5').model_name == 'resnet_34_v1.5'


@pytest.mark.parametrize('options', [{'size': 18}, {'size': 50, 'version': '1.5'}, {'size': 200}])
def test_weights_that_do_not_exist_are_named(options):
    with pytest.raises(
        UsageError, match=r'^--pretrained=keras_applications: there are weights of --resnet_size=50, 101'
    ):
        helper('resnet_at_ilsvrc12', pretrained='keras_applications', **options)


def test_unknown_sizes_are_named():
    with pytest.raises(UsageError, match='--resnet_size=20: must be one of 18, 34'):
        helper('resnet_at_ilsvrc12', size=20)
