"""Residual networks for ImageNet have the published sizes; each version has its strides and projections."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.nets.resnet_imagenet import block_convolutions, resnet_imagenet
from pocketflow.utils.costs.cost_model import total_macs

IMAGE = (224, 224, 3)


def num_trainable(model: keras.Model) -> int:
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


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


def test_version_2_has_the_size_of_the_original_program():
    """The specification's count for 1001 classes: one class, and a projection in the first group, more than above."""
    model = resnet_imagenet(18, IMAGE, 1001, '2')
    assert num_trainable(model) == 11_692_329
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers) == 21
    shapes = [model.get_layer(f'group{group}_block2_add').output_shape[1:] for group in (1, 2, 3, 4)]
    assert shapes == [(56, 56, 64), (28, 28, 128), (14, 14, 256), (7, 7, 512)]


def test_version_1_strides_in_the_first_convolution_of_a_bottleneck():
    """50 layers cost 3.86 GMACs instead of 4.09: the first 1 x 1 of three blocks computes a quarter of the pixels."""
    assert block_convolutions(128, 2, True, '1') == [(128, 1, 2), (128, 3, 1), (512, 1, 1)]
    assert block_convolutions(128, 2, True, '1.5') == [(128, 1, 1), (128, 3, 2), (512, 1, 1)]
    # Three quarters of (group 2: 256 x 128 at 56 x 56, group 3: 512 x 256 at 28 x 28, group 4: 1024 x 512 at 14 x 14).
    saved = 3 / 4 * 3 * 256 * 128 * 56 * 56
    assert (4_089_184_256 - saved) / 1e9 == pytest.approx(3.858, abs=1e-3)
