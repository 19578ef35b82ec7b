"""ResNet at ILSVRC-12: its name and network follow its flags; trained as published."""

from __future__ import annotations

import pytest

from pocketflow.datasets.ilsvrc12_dataset import Ilsvrc12Dataset
from pocketflow.utils.errors import UsageError
from tests.nets.conftest import helper

NUM_TRAIN = 1_281_167


def test_the_learning_rate_is_divided_by_ten_after_30_60_80_and_90_epochs(monkeypatch):
    monkeypatch.setattr(Ilsvrc12Dataset, 'num_trained', NUM_TRAIN)
    pair = helper('resnet_at_ilsvrc12', data={'batch_size': 256})
    schedule, num_steps = pair.setup_lrn_rate()
    assert num_steps == 100 * NUM_TRAIN // 256
    rates = [float(schedule(epoch * NUM_TRAIN // 256)) for epoch in (29, 31, 61, 81, 91)]
    assert rates == pytest.approx([0.1, 0.01, 0.001, 0.0001, 0.00001])


@pytest.mark.parametrize(('options', 'name'), [({}, 'resnet_18'), ({'version': '1.5'}, 'resnet_18_v1.5')])
def test_name_and_network_follow_the_flags(options, name):
    pair = helper('resnet_at_ilsvrc12', data={'image_size': '32,32'}, **options)
    model = pair.build_model()
    assert pair.model_name == name
    assert (model.input_shape, model.output_shape) == ((None, 32, 32, 3), (None, 1001))
    assert bool([layer for layer in model.layers if layer.name == 'stem_bn']) == (name != 'resnet_18')


@pytest.mark.parametrize('options', [{'size': 18}, {'size': 50, 'version': '1.5'}, {'size': 200}])
def test_weights_that_do_not_exist_are_named(options):
    with pytest.raises(
        UsageError, match=r'^--pretrained=keras_applications: there are weights of --resnet_size=50, 101'
    ):
        helper('resnet_at_ilsvrc12', pretrained='keras_applications', **options)


def test_unknown_sizes_are_named():
    with pytest.raises(UsageError, match='--resnet_size=20: must be one of 18, 34'):
        helper('resnet_at_ilsvrc12', size=20)
