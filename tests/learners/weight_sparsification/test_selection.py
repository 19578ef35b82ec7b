"""Which layers are pruned."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.learners.weight_sparsification.selection import kernels_of, prunable_layers, skip_reasons

layers = keras.layers


def net() -> keras.Model:
    """One layer of each kind."""
    inputs = keras.Input((8, 8, 2))
    features = layers.Conv2D(4, 3, padding='same', name='conv')(inputs)
    features = layers.BatchNormalization(name='bn')(features)
    features = layers.DepthwiseConv2D(3, padding='same', name='depthwise')(features)
    features = layers.Conv2D(6, 1, name='pointwise')(features)
    features = layers.SeparableConv2D(5, 3, padding='same', name='separable')(features)
    features = layers.Conv2DTranspose(3, 3, padding='same', name='transposed')(features)
    features = layers.Reshape((64, 3), name='sequence')(features)
    features = layers.Conv1D(4, 3, name='conv1d')(features)
    features = layers.GRU(3, name='gru')(features)
    return keras.Model(inputs, layers.Dense(2, name='logits')(features))


def selected(model: keras.Model, words: str | None = None) -> list[str]:
    return list(prunable_layers(model, skip_reasons(model, words)))


def test_layers_are_found_by_type():
    model = net()
    assert selected(model) == ['conv', 'depthwise', 'pointwise', 'separable', 'transposed', 'conv1d', 'logits']
    assert skip_reasons(model, None) == {'gru': 'GRU is not a prunable type'}


def test_only_kernels_are_selected():
    shapes = {name: [tuple(kernel.shape) for kernel in kernels] for name, kernels in prunable_layers(net(), {}).items()}
    assert shapes == {
        'conv': [(3, 3, 2, 4)],
        'depthwise': [(3, 3, 4, 1)],
        'pointwise': [(1, 1, 4, 6)],
        'separable': [(3, 3, 6, 1), (1, 1, 6, 5)],
        'transposed': [(3, 3, 3, 5)],
        'conv1d': [(3, 3, 4)],
        'logits': [(3, 2)],
    }
    assert kernels_of(layers.BatchNormalization()) == []


def test_layers_skipped_by_name_or_because_they_are_frozen():
    model = net()
    model.get_layer('logits').trainable = False
    assert skip_reasons(model, ' point, 1d,') == {
        'pointwise': 'ws_skip_names=point',
        'conv1d': 'ws_skip_names=1d',
        'logits': 'it is not trainable',
        'gru': 'GRU is not a prunable type',
    }
    assert selected(model, 'point,1d') == ['conv', 'depthwise', 'separable', 'transposed']
