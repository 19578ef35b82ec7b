from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning import sampling
from pocketflow.learners.channel_pruning.equations import NormalEquations, SampledRows
from pocketflow.learners.channel_pruning.sampling import LayerSampler, held_out_images, residual_partners
from pocketflow.utils.channels import trace
from pocketflow.utils.graph import copied

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
    return {
        name: [(steps[call].layer.name, output) for call, output in places]
        for name, places in residual_partners(model).items()
    }


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
        found[name] = sampler.equations(name).whole
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


def sampler_of(full: keras.Model, pruned: keras.Model, num_positions: int = 36) -> LayerSampler:
    images = np.random.default_rng(0).normal(size=(20, 6, 6, 3)).astype(np.float32)
    layer_names = ['first', 'shortcut', 'second', 'dense']
    return LayerSampler(full, pruned, layer_names, images, num_positions, np.random.default_rng(0))


def copy_of(model: keras.Model) -> keras.Model:
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def test_unpruned_weights_solve_the_equations_of_an_unpruned_model():
    full = block()
    sampler = sampler_of(full, copy_of(full))
    for name in ('first', 'shortcut', 'second', 'dense'):
        equations = sampler.equations(name).whole
        kernel = full.get_layer(name).kernel.numpy()
        weights = kernel.astype(np.float64).reshape(-1, kernel.shape[-1])
        assert equations.residual(weights) / equations.energy < 1e-9
        assert equations.num_rows == (20 if name == 'dense' else 20 * 36)


def test_the_last_operand_makes_up_for_the_others():
    full = block()
    pruned = copy_of(full)
    sampler = sampler_of(full, pruned)
    sampler.equations('shortcut')
    bias = pruned.get_layer('shortcut').bias
    bias.assign(bias + 1.0)
    kernel = full.get_layer('second').kernel.numpy().astype(np.float64).reshape(-1, 4)
    equations = sampler.equations('second').whole
    # The shortcut now gives 1 more at every place; the branch is asked for 1 less.
    assert equations.residual(kernel) == pytest.approx(equations.num_rows * 4, rel=1e-4)


def test_one_image_of_five_is_held_out_and_equal_images_are_on_one_side():
    images = np.arange(12, dtype=np.float32).reshape(12, 1, 1, 1)
    held_out, is_new = held_out_images(images)
    assert np.flatnonzero(held_out).tolist() == [4, 9] and is_new.all()
    held_out, is_new = held_out_images(images[[0, 1, 0, 2, 1, 0, 2]])
    assert held_out.tolist() == [False, False, False, True, False, False, True]
    assert np.flatnonzero(is_new).tolist() == [0, 1, 3]
    assert held_out_images(images[:1])[0].tolist() == [True]


def test_images_are_fitted_on_or_held_out_and_positions_are_counted_once():
    full = block()
    sampler = sampler_of(full, copy_of(full), num_positions=50)  # there are 36
    found = {name: sampler.equations(name) for name in ('first', 'shortcut', 'second', 'dense')}
    for name, split in found.items():
        rows = 1 if name == 'dense' else 36
        assert (split.fitting.num_rows, split.held_out.num_rows, split.num_distinct) == (16 * rows, 4 * rows, 16 * rows)


def test_repeated_images_and_positions_are_no_new_rows():
    full = block()
    images = np.random.default_rng(0).normal(size=(5, 6, 6, 3)).astype(np.float32)[[0, 1, 2, 3, 4] * 4]
    sampler = LayerSampler(full, copy_of(full), ['dense'], images, 10, np.random.default_rng(0))
    split = sampler.equations('dense')
    assert (split.fitting.num_rows, split.held_out.num_rows, split.num_distinct) == (16, 4, 4)
    sampler = LayerSampler(full, copy_of(full), ['first'], images, 30, np.random.default_rng(0))
    places = sampler._places[0]['first']
    assert sampler.equations('first').num_distinct == 4 * len({tuple(place) for place in places.tolist()}) < 4 * 30


def test_behind_a_global_pooling_an_image_is_one_row():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6, 6, 3))
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(4, 1, name='stem')(inputs))
    model = keras.Model(inputs, layers.Conv2D(2, 1, name='squeeze')(pooled))
    images = np.random.default_rng(0).normal(size=(20, 6, 6, 3)).astype(np.float32)
    split = LayerSampler(model, copy_of(model), ['squeeze'], images, 10, np.random.default_rng(0)).equations('squeeze')
    assert (split.whole.num_rows, split.num_distinct) == (20, 16)


def test_layers_with_more_features_than_rows_keep_the_rows():
    full = block()
    images = np.random.default_rng(0).normal(size=(5, 6, 6, 3)).astype(np.float32)
    sampler = LayerSampler(full, copy_of(full), ['first', 'second'], images, 6, np.random.default_rng(0))
    assert isinstance(sampler.equations('second').fitting, SampledRows)  # 30 rows, 36 features
    sampler = LayerSampler(full, copy_of(full), ['first', 'second'], images, 8, np.random.default_rng(0))
    assert isinstance(sampler.equations('second').fitting, NormalEquations)


def test_memory_for_feature_maps_does_not_change_the_equations(monkeypatch):
    full = block()
    images = np.random.default_rng(0).normal(size=(20, 6, 6, 3)).astype(np.float32)
    names = ['first', 'shortcut', 'second', 'dense']
    monkeypatch.setattr(sampling, 'CHUNK_BYTES', 5000)  # a few images at a time
    samplers = [
        LayerSampler(full, copy_of(full), names, images, 9, np.random.default_rng(0), max_bytes)
        for max_bytes in (10**9, 0)
    ]
    for name in names:
        one, two = (sampler.equations(name).whole for sampler in samplers)
        np.testing.assert_array_equal(one.gram, two.gram)
        np.testing.assert_array_equal(one.cross, two.cross)
