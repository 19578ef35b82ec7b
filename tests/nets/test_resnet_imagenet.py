"""Residual networks for ImageNet have the published sizes; each version has its strides and projections."""

from __future__ import annotations

import pytest

from pocketflow.nets.resnet_imagenet import block_convolutions, resnet_imagenet
from pocketflow.utils.costs.cost_model import total_macs
from tests.nets.conftest import num_trainable

IMAGE = (224, 224, 3)


@pytest.mark.parametrize(
    ('size', 'parameters', 'giga_macs'),
    # As in torchvision's table of classification weights, of 1000 classes; its ResNet-50 is version 1.5.
    [(18, 11_689_512, 1.814), (50, 25_557_032, 4.089)],
)
def test_version_1_5_has_the_published_size(size, parameters, giga_macs):
    model = resnet_imagenet(size, IMAGE, 1000, '1.5')
    assert num_trainable(model) == parameters
    assert total_macs(model) / 1e9 == pytest.approx(giga_macs, abs=6e-4)
    assert sum(layer.name.endswith('_shortcut') for layer in model.layers) == (3 if size == 18 else 4)


def test_version_1_strides_in_the_first_convolution_of_a_bottleneck():
    """50 layers cost 3.86 GMACs instead of 4.09: the first 1 x 1 of three blocks computes a quarter of the pixels."""
    assert block_convolutions(128, 2, True, '1') == [(128, 1, 2), (128, 3, 1), (512, 1, 1)]
    assert block_convolutions(128, 2, True, '1.5') == [(128, 1, 1), (128, 3, 2), (512, 1, 1)]
    # Three quarters of (group 2: 256 x 128 at 56 x 56, group 3: 512 x 256 at 28 x 28, group 4: 1024 x 512 at 14 x 14).
    saved = 3 / 4 * 3 * 256 * 128 * 56 * 56
    assert (4_089_184_256 - saved) / 1e9 == pytest.approx(3.858, abs=1e-3)
