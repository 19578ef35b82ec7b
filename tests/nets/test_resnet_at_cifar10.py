"""ResNet at CIFAR-10: its name and network follow its size; trained as published."""

from __future__ import annotations

import pytest

from pocketflow.utils.errors import UsageError
from tests.nets.conftest import helper


def test_resnet_size_is_checked():
    with pytest.raises(UsageError, match=r'--resnet_size=21: must be 6n \+ 2'):
        helper('resnet_at_cifar10', size=21)


def test_name_and_network_have_the_size():
    pair = helper('resnet_at_cifar10', size=8)
    model = pair.build_model()
    assert pair.model_name == model.name == 'resnet_8'
    assert (model.input_shape, model.output_shape) == ((None, 32, 32, 3), (None, 10))


def test_the_learning_rate_is_divided_by_ten_after_100_150_and_200_epochs():
    pair = helper('resnet_at_cifar10')
    schedule, num_steps = pair.setup_lrn_rate()
    assert num_steps == 250 * 50000 // 128
    rates = [float(schedule(epoch * 50000 // 128)) for epoch in (99, 101, 151, 201)]
    assert rates == pytest.approx([0.1, 0.01, 0.001, 0.0001])
