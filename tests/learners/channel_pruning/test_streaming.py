"""The same values reach a layer whether feature maps are kept or computed again."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning.streaming import StreamedRun, chunks

layers = keras.layers


def net() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 1))
    features = layers.Conv2D(8, 1, name='wide')(inputs)
    features = layers.Conv2D(2, 4, name='narrow')(features)
    return keras.Model(inputs, layers.Dense(3, name='dense')(layers.Flatten()(features)))


def calls_counted(layer: keras.layers.Layer) -> list[int]:
    calls, compute = [], layer.call

    def call(inputs):
        calls.append(len(inputs))
        return compute(inputs)

    layer.call = call
    return calls


# Maps of 6 images: the images are 384 bytes, what `wide` makes 3,072, and what `narrow` makes 48.
@pytest.mark.parametrize(('max_bytes', 'wide_calls'), [(10_000, 3), (1_000, 6), (0, 6)])
def test_maps_that_do_not_fit_are_computed_again(max_bytes, wide_calls):
    model, images = net(), np.random.default_rng(0).normal(size=(6, 4, 4, 1)).astype(np.float32)
    calls = calls_counted(model.get_layer('wide'))
    run = StreamedRun(model, images, chunks(6, 2, 1, 2), max_bytes)
    for name in ('narrow', 'dense'):
        expected = keras.Model(model.input, model.get_layer(name).input)(images).numpy()
        calls.clear() if name == 'narrow' else None
        values = [state.input_of(name)[0].numpy() for state in run.until(name)]
        np.testing.assert_allclose(np.concatenate(values), expected, rtol=1e-5, atol=1e-6)
        assert [len(value) for value in values] == [2, 2, 2]
    assert len([count for count in calls if count == 2]) == wide_calls


def test_weights_that_have_changed_count():
    for max_bytes in (0, 10_000):
        model, images = net(), np.ones((4, 4, 4, 1), np.float32)
        run = StreamedRun(model, images, chunks(4, 2, 1, 2), max_bytes)
        list(run.until('narrow'))
        model.get_layer('narrow').kernel.assign(np.zeros((4, 4, 8, 2)))
        assert not any(state.input_of('dense')[0].numpy().any() for state in run.until('dense'))


def test_chunks_stay_inside_their_unit_and_within_the_bytes():
    assert chunks(500, 250, 1, 1000) == [slice(0, 250), slice(250, 500)]
    assert chunks(260, 250, 10, 1300) == [slice(0, 125), slice(125, 250), slice(250, 260)]
    assert chunks(2, 250, 10**9, 1) == [slice(0, 1), slice(1, 2)]
