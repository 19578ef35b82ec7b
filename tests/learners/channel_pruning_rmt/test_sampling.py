from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from learners.channel_pruning_rmt.sampling import LayerSampler, residual_partners
from learners.channel_pruning_rmt.selection import NormalEquations
from utils.channels import trace
from utils.graph import copied

layers = keras.layers


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


def partners_of(model: keras.Model) -> dict[str, list[tuple[str, int]]]:
    """Layer that completes an addition -> (name of the layer that makes another operand, its output)."""
    steps = trace(model).steps
    return {name: [(steps[call].layer.name, output) for call, output in places]
            for name, places in residual_partners(model).items()}


def test_partners_are_found_for_the_last_convolution_only():
    assert partners_of(block()) == {'second': [('shortcut', 0)]}


def residual_net(is_shared: bool) -> keras.Model:
    """Two residual blocks behind activations that are one layer, or a layer each."""
    keras.utils.set_random_seed(2)
    one = layers.ReLU(name='relu')
    activations = iter(5 * [one] if is_shared else [layers.ReLU(name=f'relu{number}') for number in range(5)])
    inputs = keras.Input((6, 6, 3))
    total = next(activations)(layers.Conv2D(4, 3, padding='same', name='stem')(inputs))
    for name in 'ab':
        branch = next(activations)(layers.Conv2D(6, 3, padding='same', name=f'{name}1')(total))
        branch = layers.Conv2D(4, 3, padding='same', name=f'{name}2')(branch)
        total = next(activations)(layers.Add(name=f'{name}_add')([branch, total]))
    features = layers.GlobalAveragePooling2D(name='pool')(total)
    return keras.Model(inputs, layers.Dense(2, name='dense')(features), name='net')


def equations_of(model: keras.Model) -> dict[str, NormalEquations]:
    """Of all layers, each of which loses two of its inputs before the next is sampled."""
    names, pruned = ['stem', 'a1', 'a2', 'b1', 'b2', 'dense'], copied(model)
    images = np.random.default_rng(0).normal(size=(20, 6, 6, 3)).astype(np.float32)
    sampler, found = LayerSampler(model, pruned, names, images, 8, np.random.default_rng(0)), {}
    for name in names:
        found[name] = sampler.normal_equations(name)
        kernel = pruned.get_layer(name).kernel
        kernel.assign(np.where(np.arange(kernel.shape[-2])[:, None] < 2, 0, kernel))
    return found


def test_an_activation_that_is_called_at_several_places_is_not_mistaken_for_another_call():
    shared, separate = residual_net(is_shared=True), residual_net(is_shared=False)
    assert partners_of(separate) == {'a2': [('relu0', 0)], 'b2': [('relu2', 0)]}
    assert residual_partners(shared) == residual_partners(separate)
    expected = equations_of(separate)
    for name, equations in equations_of(shared).items():
        np.testing.assert_array_equal(equations.gram, expected[name].gram)
        np.testing.assert_array_equal(equations.cross, expected[name].cross)


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
