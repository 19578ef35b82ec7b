from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning_discrimination.heads import body_of, check_outputs, head_of, with_head
from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import copied

layers = keras.layers
CONVOLUTIONS = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}


def net(rank: int = 2) -> keras.Model:
    """With a convolution, or for rank 0 a dense layer, named `a`, and three logits."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((*rank * [4], 2))
    x = CONVOLUTIONS[rank](5, 3, padding='same', name='a')(inputs) if rank else layers.Dense(5, name='a')(inputs)
    x = layers.Flatten()(layers.ReLU()(x))
    return keras.Model(inputs, layers.Dense(3, name='logits')(layers.Dense(6, name='b')(x)), name='net')


@pytest.mark.parametrize('rank', [0, 1, 2, 3])
def test_a_head_is_norm_relu_mean_and_dense(rank):
    model = net(rank)
    headed = with_head(model, 'a', seed=0)
    images = np.random.default_rng(0).normal(size=(6, *rank * [4], 2)).astype(np.float32)
    body, head = headed(images)
    np.testing.assert_array_equal(body, model(images))
    features = keras.Model(model.input, model.get_layer('a').output)(images).numpy()
    means = np.maximum(features / np.sqrt(1 + 1e-3), 0).reshape(6, -1, 5).mean(axis=1)  # of a new normalisation
    np.testing.assert_allclose(head, means @ headed.get_layer('a_head_0').kernel.numpy(), rtol=1e-4, atol=1e-5)


def test_parts_share_their_layers_with_the_model_and_survive_a_copy():
    model = net()
    headed = copied(with_head(model, 'a', seed=0))
    assert [layer.name for layer in body_of(headed).layers] == [layer.name for layer in model.layers]
    assert 'b' not in {layer.name for layer in head_of(headed).layers}
    assert body_of(headed).get_layer('a') is head_of(headed).get_layer('a') is headed.get_layer('a')


def test_the_seed_draws_the_weights_of_the_head():
    one, same, other = (with_head(net(), 'a', seed).get_layer('a_head_0').kernel.numpy() for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0


def test_a_head_predicts_each_output_in_its_structure_and_with_its_activation():
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(5, 3, name='a')(inputs)
    vector = layers.GlobalAveragePooling2D()(x)
    points = layers.Reshape((3, 2))(layers.Dense(6)(vector))
    kind = layers.Dense(4, activation='softmax')(vector)
    score = layers.Softmax()(layers.Dense(3)(vector))
    model = keras.Model(inputs, {'points': points, 'kind': kind, 'score': score})
    _, head = with_head(model, 'a', seed=0)(np.ones((2, 4, 4, 2), np.float32))
    assert {name: tuple(value.shape) for name, value in head.items()} == {
        'points': (2, 3, 2),
        'kind': (2, 4),
        'score': (2, 3),
    }
    np.testing.assert_allclose([head[name].numpy().sum(axis=-1) for name in ('kind', 'score')], 1.0, rtol=1e-5)
    check_outputs(model, '')


@pytest.mark.parametrize('size', [200, None])
def test_outputs_that_are_maps_are_refused(size):
    inputs = keras.Input((size, size, 3))
    model = keras.Model(inputs, layers.Conv2D(2, 3, padding='same', name='mask')(inputs), name='net')
    with pytest.raises(UsageError, match=r"at most 10,000 .* output mask of model 'net' has the shape .*; do this"):
        check_outputs(model, 'do this')
