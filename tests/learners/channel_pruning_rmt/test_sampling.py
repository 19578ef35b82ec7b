from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from learners.channel_pruning_rmt.sampling import (
    LayerSampler,
    cut_windows,
    residual_partners,
    values_at,
    window_geometry,
)

layers = keras.layers


@pytest.mark.parametrize('options', [
    {'kernel_size': 3, 'padding': 'same'}, {'kernel_size': 3, 'padding': 'valid'},
    {'kernel_size': 3, 'strides': 2, 'padding': 'same'}, {'kernel_size': (5, 2), 'strides': (2, 3), 'padding': 'valid'},
    {'kernel_size': 3, 'dilation_rate': 2, 'padding': 'same'}, {'kernel_size': 1, 'strides': 2, 'padding': 'same'},
    {'kernel_size': 4, 'strides': 3, 'padding': 'same'}])
def test_windows_times_kernel_are_the_outputs(options):
    keras.utils.set_random_seed(0)
    layer = layers.Conv2D(4, use_bias=False, **options)
    inputs = tf.random.normal([3, 9, 10, 2])
    outputs = layer(inputs)
    _, size = window_geometry(layer, (9, 10))
    assert tuple(size) == tuple(outputs.shape[1:3])
    places = np.stack(np.meshgrid(*map(np.arange, size), indexing='ij'), axis=-1).reshape(-1, 2)
    windows = cut_windows(inputs, layer, places)
    np.testing.assert_allclose(windows @ tf.reshape(layer.kernel, [-1, 4]), values_at(outputs, places), atol=1e-5)


def block() -> keras.Model:
    """A residual block with a projection, then an addition whose last operand is no convolution."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6, 6, 3))
    shortcut = layers.Conv2D(4, 1, name='shortcut')(inputs)
    branch = layers.Conv2D(4, 3, padding='same', activation='relu', name='first')(inputs)
    branch = layers.Conv2D(4, 3, padding='same', name='second')(branch)
    total = layers.Add(name='add')([shortcut, branch])
    other = layers.ReLU(name='relu')(layers.Conv2D(4, 1, name='third')(total))
    total = layers.Add(name='add2')([other, total])
    features = layers.GlobalAveragePooling2D(name='pool')(total)
    return keras.Model(inputs, layers.Dense(2, name='dense')(features))


def test_partners_are_found_for_the_last_convolution_only():
    assert residual_partners(block()) == {'second': ('shortcut',)}


def sampler_of(full: keras.Model, pruned: keras.Model, nb_positions: int = 36) -> LayerSampler:
    images = np.random.default_rng(0).normal(size=(20, 6, 6, 3)).astype(np.float32)
    layer_names = ['first', 'shortcut', 'second', 'dense']
    return LayerSampler(full, pruned, layer_names, images, nb_positions, np.random.default_rng(0))


def copy_of(model: keras.Model) -> keras.Model:
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def test_unpruned_weights_solve_the_equations_of_an_unpruned_model():
    full = block()
    sampler = sampler_of(full, copy_of(full))
    for name in ('first', 'shortcut', 'second', 'dense'):
        equations = sampler.normal_equations(name)
        kernel = full.get_layer(name).kernel.numpy()
        weights = kernel.astype(np.float64).reshape(-1, kernel.shape[-1])
        assert equations.residual(weights) / equations.energy < 1e-9
        assert equations.nb_rows == (20 if name == 'dense' else 20 * 36)


def test_the_last_operand_makes_up_for_the_others():
    full = block()
    pruned = copy_of(full)
    sampler = sampler_of(full, pruned)
    sampler.normal_equations('shortcut')
    bias = pruned.get_layer('shortcut').bias
    bias.assign(bias + 1.0)
    kernel = full.get_layer('second').kernel.numpy().astype(np.float64).reshape(-1, 4)
    equations = sampler.normal_equations('second')
    # The shortcut now gives 1 more at every place; the branch is asked for 1 less.
    assert equations.residual(kernel) == pytest.approx(equations.nb_rows * 4, rel=1e-4)
