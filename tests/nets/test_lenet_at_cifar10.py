"""LeNet at CIFAR-10: trained as published."""

from __future__ import annotations

import pytest

from tests.nets.conftest import helper


def test_the_learning_rate_is_divided_by_ten_after_100_150_and_200_epochs():
    schedule, num_steps = helper('lenet_at_cifar10').setup_lrn_rate()
    assert num_steps == 250 * 50000 // 128
    rates = [float(schedule(epoch * 50000 // 128)) for epoch in (99, 101, 151, 201)]
    assert rates == pytest.approx([0.01, 0.001, 0.0001, 0.00001])


def test_its_network_is_the_published_one():
    model = helper('lenet_at_cifar10').build_model()
    assert model.count_params() == 466122 and model.get_layer('conv1').padding == 'valid'
