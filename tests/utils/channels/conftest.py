"""What the tests of channel removal share: random weights, and the comparison with the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.channels import ChannelSelect, drop_inputs, remove_channels


def _randomize(model: keras.Model, seed: int = 0) -> keras.Model:
    """Random weights, and batch norm statistics that are far from an identity."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        low = 0.5 if 'variance' in weight.name else -1.0
        weight.assign(rng.uniform(low, 1.0, weight.shape))
    return model


def _outputs(model: keras.Model, seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    inputs = [rng.normal(size=(2, *tensor.shape[1:])).astype('float32') for tensor in model.inputs]
    results = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [np.asarray(result) for result in (results if isinstance(results, list) else [results])]


def _same_outputs(one: keras.Model, two: keras.Model) -> None:
    for a, b in zip(_outputs(one), _outputs(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def _removed(model: keras.Model, kept: Mapping[str, Sequence[int]]) -> keras.Model:
    _randomize(model)
    before = [weight.numpy() for weight in model.weights]
    reference, smaller = drop_inputs(model, kept), remove_channels(model, kept)
    _same_outputs(smaller, reference)
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)
    assert smaller.count_params() <= model.count_params()
    known = {type(layer) for layer in model.layers} | {ChannelSelect, keras.layers.InputLayer}
    assert {type(layer) for layer in smaller.layers} <= known
    return smaller


@pytest.fixture(scope='session')
def removed() -> Callable[[keras.Model, Mapping[str, Sequence[int]]], keras.Model]:
    """`removed(model, kept)` removes channels and checks what must hold for any model."""
    return _removed


@pytest.fixture(scope='session')
def same_outputs() -> Callable[[keras.Model, keras.Model], None]:
    """`same_outputs(one, two)` compares two models on the same random inputs, in inference mode."""
    return _same_outputs


@pytest.fixture(scope='session')
def randomize() -> Callable[..., keras.Model]:
    """`randomize(model, seed=0)` gives a model random weights and returns it."""
    return _randomize


@pytest.fixture(scope='session')
def selects() -> Callable[[keras.Model], list[str]]:
    """`selects(model)` names the channel selections of a model."""
    return lambda model: [layer.name for layer in model.layers if isinstance(layer, ChannelSelect)]
