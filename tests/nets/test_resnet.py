"""Residual networks of the published sizes."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.nets.resnet import resnet


@pytest.mark.parametrize(('size', 'parameters', 'convolutions'), [(20, 272538, 22), (32, 466970, 34), (56, 855834, 58)])
def test_resnet_has_the_published_size(size, parameters, convolutions):
    model = resnet(size, (32, 32, 3), 10)
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == parameters
    assert sum(type(layer).__name__ == 'Conv2D' for layer in model.layers) == convolutions


def test_groups_halve_the_image_and_double_the_filters():
    model = resnet(8, (9, 9, 3), 4)
    shapes = [model.get_layer(f'group{group}_block1_add').output_shape[1:] for group in (1, 2, 3)]
    assert shapes == [(9, 9, 16), (5, 5, 32), (3, 3, 64)]
