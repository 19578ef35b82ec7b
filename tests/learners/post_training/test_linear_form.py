"""Layers as products of matrices: the sampled inputs times the kernel are the sampled outputs."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.post_training.linear_form import LinearForm

k = keras.layers
LAYERS = {
    'convolution': k.Conv2D(6, 3, strides=2, padding='same'),
    'dilated': k.Conv2D(4, (3, 2), dilation_rate=2),
    'groups': k.Conv2D(6, 3, groups=2),
    'depthwise': k.DepthwiseConv2D(3, depth_multiplier=2, padding='same'),
    'dense on a map': k.Dense(5),
}


@pytest.mark.parametrize('name', LAYERS)
def test_products_of_sampled_inputs_are_the_sampled_outputs(name):
    layer, rng = LAYERS[name], np.random.default_rng(0)
    images = rng.normal(size=(7, 8, 9, 4)).astype(np.float32)
    outputs = layer(images).numpy()
    form = LinearForm(layer)
    grouped = form.grouped(form.kernel)
    np.testing.assert_array_equal(form.ungrouped(grouped), form.kernel)
    inputs, wanted = form.sampled(images, outputs, 21, rng)
    made = np.einsum('ngf,gfo->ngo', inputs, grouped) + layer.bias.numpy().reshape(form.num_groups, -1)
    assert len(inputs) == len(wanted) == 21  # three of each image
    np.testing.assert_allclose(made, wanted, atol=1e-5)
    assert len(np.unique(inputs, axis=0)) == 21


def test_a_dense_layer_on_vectors_has_one_row_per_image():
    layer, rng = k.Dense(3), np.random.default_rng(0)
    images = rng.normal(size=(5, 4)).astype(np.float32)
    outputs = layer(images).numpy()
    inputs, wanted = LinearForm(layer).sampled(images, outputs, 100, rng)
    np.testing.assert_array_equal(inputs[:, 0], images)
    np.testing.assert_array_equal(wanted[:, 0], outputs)
