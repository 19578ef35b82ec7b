"""Widths are multiples of eight; inverted residuals add their input where the shapes are equal."""

from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.nets.mobile_blocks import MobileBlocks, make_divisible


@pytest.mark.parametrize(
    ('width', 'expected'), [(11.2, 16), (12, 16), (17, 16), (20, 24), (24, 24), (3, 8), (33.6, 32)]
)
def test_widths_are_rounded_to_multiples_of_eight_but_not_far_down(width, expected):
    assert make_divisible(width) == expected


@pytest.mark.parametrize(
    ('expansion', 'filters', 'strides', 'names'),
    [
        (1, 8, 1, ['depthwise', 'project', 'add']),
        (6, 8, 1, ['expand', 'depthwise', 'project', 'add']),
        (6, 8, 2, ['expand', 'depthwise', 'project']),
        (6, 16, 1, ['expand', 'depthwise', 'project']),
    ],
)
def test_inverted_residual(expansion, filters, strides, names):
    inputs = keras.layers.Input((6, 6, 8))
    blocks = MobileBlocks(0.9, keras.initializers.GlorotUniform)
    model = keras.Model(inputs, blocks.inverted_residual(inputs, expansion, filters, 3, strides, 'one'))
    found = [layer.name.removeprefix('one_') for layer in model.layers if layer.name.count('_') == 1]
    assert [name for name in found if name in ('expand', 'depthwise', 'project', 'add')] == names
    assert model.output_shape == (None, 6 // strides, 6 // strides, filters)
    assert 'one_project_relu' not in [layer.name for layer in model.layers]  # the projection is linear
