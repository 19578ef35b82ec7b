"""Statistics of all readers of a full model: right, and the same however the images are cut into batches."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning import contributions as module
from pocketflow.learners.channel_pruning.contributions import contributions
from pocketflow.utils.channels import ReaderChannels, reader_channels

layers = keras.layers


def net() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 2))
    features = layers.Conv2D(4, 3, padding='same', activation='relu', name='first')(inputs)
    features = layers.Conv2D(3, 3, strides=2, padding='same', activation='relu', name='second')(features)
    features = layers.Dense(5, activation='relu', name='hidden')(layers.Flatten(name='flatten')(features))
    return keras.Model(inputs, layers.Dense(2, name='logits')(features))


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 6, 6, 2)).astype(np.float32)


def explicit(model: keras.Model, name: str, reader: ReaderChannels, inputs: np.ndarray) -> np.ndarray:
    """The outputs at all positions with one channel at a time, float64 `[channels, rows * outputs]`, by the layer."""
    layer = model.get_layer(name)
    read = keras.Model(model.input, layer.input)(inputs).numpy()
    silent = layer.activation
    layer.activation = keras.activations.linear
    bias = layer.bias.numpy()
    parts = []
    for places in reader.positions:
        masked = np.zeros_like(read)
        masked[..., places] = read[..., places]
        parts.append((layer(masked).numpy() - bias).astype(np.float64).ravel())
    layer.activation = silent
    return np.stack(parts)


def test_grams_are_those_of_each_channel_run_alone():
    model, sample = net(), images(7)
    readers = reader_channels(model)
    found = contributions(model, readers, sample, num_positions=36, seed=0)  # all positions, each once
    for name, reader in readers.items():
        parts = explicit(model, name, reader, sample)
        np.testing.assert_allclose(found[name].gram, parts @ parts.T, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found[name].cross, parts @ parts.sum(axis=0), rtol=1e-4, atol=1e-4)
        assert found[name].energy == pytest.approx(np.square(parts.sum(axis=0)).sum(), rel=1e-4)
    assert {name: one.num_rows for name, one in found.items()} == {
        'first': 7 * 36,
        'second': 7 * 9,
        'hidden': 7,
        'logits': 7,
    }


@pytest.mark.parametrize(('limit', 'value'), [('BATCH_SIZE', 3), ('CHUNK_BYTES', 1)])
def test_batches_add_up(monkeypatch, limit, value):
    model = net()
    readers = reader_channels(model)
    whole = contributions(model, readers, images(10), num_positions=36, seed=0)
    monkeypatch.setattr(module, limit, value)
    for name, one in contributions(model, readers, images(10), num_positions=36, seed=0).items():
        np.testing.assert_allclose(one.gram, whole[name].gram, rtol=1e-5, atol=1e-6)
        assert one.num_rows == whole[name].num_rows


def test_positions_are_a_function_of_the_seed():
    model = net()
    readers = reader_channels(model)
    one, two, other = (contributions(model, readers, images(4), 2, seed)['first'].gram for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, two)
    assert not np.allclose(one, other)
