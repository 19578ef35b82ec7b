"""LeNet at digits: a network for small images, and a schedule for little training."""

from __future__ import annotations

import pytest

from tests.nets.conftest import helper


def test_images_of_8_pixels_go_through_both_poolings():
    model = helper('lenet_at_digits').build_model()
    shapes = [model.get_layer(name).output_shape[1:] for name in ('conv1', 'pool1', 'conv2', 'pool2', 'fc4')]
    assert shapes == [(8, 8, 32), (4, 4, 32), (4, 4, 64), (2, 2, 64), (10,)]
    assert model.count_params() == 832 + 51264 + 65792 + 2570  # weights and biases, layer by layer


def test_training_is_one_cycle_up_to_a_fifth_scaled_by_the_batch():
    pair = helper('lenet_at_digits')
    schedule, num_steps = pair.setup_lrn_rate()
    rates = [float(schedule(step)) for step in range(0, num_steps, num_steps // 50)]
    assert max(rates) == pytest.approx(0.2 * pair.dataset.options.batch_size / 128, rel=1e-2)
    assert rates[0] < 0.5 * max(rates) and rates[-1] < 0.01 * max(rates)
