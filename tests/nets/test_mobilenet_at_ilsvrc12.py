"""MobileNet at ILSVRC-12: its name and network follow its flags; trained as published."""

from __future__ import annotations

import pytest

from pocketflow.datasets.ilsvrc12_dataset import Ilsvrc12Dataset
from pocketflow.nets import mobilenet_at_ilsvrc12
from pocketflow.utils.errors import UsageError
from tests.nets.conftest import helper

NUM_TRAIN = 1_281_167
DATA = {'batch_size': 96}


@pytest.fixture
def whole_set(monkeypatch):
    """Counts the images of the complete data set."""
    monkeypatch.setattr(Ilsvrc12Dataset, 'num_trained', NUM_TRAIN)


@pytest.mark.usefixtures('whole_set')
def test_version_1_is_trained_for_100_epochs():
    schedule, num_steps = helper('mobilenet_at_ilsvrc12', data=DATA).setup_lrn_rate()
    assert num_steps == 100 * NUM_TRAIN // 96
    rates = [float(schedule(epoch * NUM_TRAIN // 96)) for epoch in (29, 31, 91)]
    assert rates == pytest.approx([0.045, 0.0045, 0.0000045])


@pytest.mark.usefixtures('whole_set')
@pytest.mark.parametrize('ratio', [1.0, 0.1])
def test_version_2_decays_by_2_percent_per_epoch_in_steps_of_2_5_epochs(ratio):
    pair = helper('mobilenet_at_ilsvrc12', data=DATA, version=2, epochs_ratio=ratio)
    schedule, num_steps = pair.setup_lrn_rate()
    assert num_steps == int(412 * ratio * NUM_TRAIN / 96)
    rates = [float(schedule(int(epoch * ratio * NUM_TRAIN / 96))) for epoch in (2.4, 2.6, 101)]
    assert rates == pytest.approx([0.045, 0.045 * 0.98**2.5, 0.045 * 0.98**100], rel=1e-4)


@pytest.mark.parametrize(
    ('options', 'name', 'built'),
    [
        ({}, 'mobilenet_v1', ('mobilenet_v1', 1.0)),
        ({'version': 2, 'depth_multiplier': 0.5}, 'mobilenet_v2_0.5', ('mobilenet_v2', 0.5, False)),
        ({'version': 2, 'pretrained': 'keras_applications'}, 'mobilenet_v2', ('mobilenet_v2', 1.0, True)),
    ],
)
def test_name_and_network_follow_the_flags(options, name, built, monkeypatch):
    def v1(shape, num_classes, multiplier):
        assert (shape, num_classes) == ((32, 32, 3), 1001)
        return 'mobilenet_v1', multiplier

    def v2(shape, num_classes, multiplier, wide_end):
        assert (shape, num_classes) == ((32, 32, 3), 1001)
        return 'mobilenet_v2', multiplier, wide_end

    monkeypatch.setattr(mobilenet_at_ilsvrc12, 'mobilenet_v1', v1)
    monkeypatch.setattr(mobilenet_at_ilsvrc12, 'mobilenet_v2', v2)
    pair = helper('mobilenet_at_ilsvrc12', data={'image_size': '32,32'}, **options)
    assert (pair.model_name, pair.build_model()) == (name, built)


def test_weights_that_do_not_exist_are_named():
    with pytest.raises(
        UsageError, match=r'weights of --mobilenet_version=1 with --mobilenet_depth_mult=0.25, .* not 0.4'
    ):
        helper('mobilenet_at_ilsvrc12', depth_multiplier=0.4, pretrained='keras_applications')
