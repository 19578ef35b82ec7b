"""Layers that are not trained: the result is the same whether their outputs are kept or computed anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras
from absl import logging

from pocketflow.learners.abstract_learner import Compressed
from pocketflow.learners.full_precision.freezing import frozen, frozen_layers, why_not_kept
from pocketflow.learners.full_precision.learner import FullPrecLearner
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options
from tests.learners.conftest import make_context, make_helper

layers = keras.layers


def network(dropout: float = 0) -> keras.Model:
    """A convolution with batch norm, a second one, and a dense layer, for digits."""
    keras.utils.set_random_seed(3)
    inputs = layers.Input((8, 8, 1), name='images')
    outputs = layers.Conv2D(4, 3, name='conv1')(inputs)
    outputs = layers.BatchNormalization(name='bn1', momentum=0.5)(outputs)
    outputs = layers.ReLU(name='relu1')(outputs)
    if dropout:
        outputs = layers.Dropout(dropout, name='drop')(outputs)
    outputs = layers.Conv2D(6, 3, name='conv2')(outputs)
    outputs = layers.BatchNormalization(name='bn2', momentum=0.5)(outputs)
    outputs = layers.GlobalAveragePooling2D(name='pool')(outputs)
    return keras.Model(inputs, layers.Dense(10, name='last')(outputs))


def plain_digits(**options):
    """The data set without augmentation."""
    helper = make_helper(**options)
    helper.dataset = helper.dataset.with_options(crop_padding=0, num_train=200, num_val=20)
    helper.dataset.mirrored = False
    return helper


def trained(folder: Path, monkeypatch, freeze: str, cache: int, steps: int = 7) -> tuple[keras.Model, list[str]]:
    """A network after some steps, and what was logged."""
    lines: list[str] = []
    monkeypatch.setattr(logging, 'info', lambda text, *values: lines.append(text % values))
    context = make_context(
        'lenet_at_digits', folder, warm_start=True, save_path='m.keras', freeze=freeze, frozen_cache_size=cache
    )
    object.__setattr__(context, 'helper', plain_digits())
    learner, model = FullPrecLearner(context, Options()), network()
    learner.fit(Compressed(model), num_steps=steps, label=None)
    return model, lines


def test_training_on_what_is_kept_equals_training_with_the_frozen_layers_in_place(tmp_path, monkeypatch):
    freeze, kept = 'relu1', ['conv1', 'bn1']
    in_place, lines = trained(tmp_path / 'a', monkeypatch, freeze, cache=0)
    assert any('frozen layers are computed in each step: what they compute of 200' in line for line in lines)
    on_features, lines = trained(tmp_path / 'b', monkeypatch, freeze, cache=64)
    assert any('kept what the frozen layers compute of 200 training images' in line for line in lines)
    models = in_place, on_features, network()
    for layer in in_place.layers:
        for one, other, before in zip(*(each.get_layer(layer.name).get_weights() for each in models), strict=True):
            np.testing.assert_allclose(one, other, atol=2e-5)
            # Moving statistics stay, too: frozen batch norms are in inference mode.
            assert np.array_equal(one, before) == (layer.name in kept)
    assert all(layer.trainable for layer in on_features.layers)


def test_what_can_be_named():
    model = network()
    names = {layer.name for layer in model.layers}
    assert frozen_layers(model, None, 'm') == frozen_layers(model, 'none', 'm') == frozenset()
    assert frozen_layers(model, 'backbone', 'm') == names - {'last'}
    assert frozen_layers(model, 'bn1', 'm') == {'images', 'conv1', 'bn1'}
    with pytest.raises(
        UsageError, match=r"^--freeze=conv9: m: has no layer 'conv9'; its layers with weights are conv1"
    ):
        frozen_layers(model, 'conv9', 'm')
    with pytest.raises(UsageError, match=r'^--freeze=last: m: no layer would be left to train; name an earlier one'):
        frozen_layers(model, 'last', 'm')


def test_layers_are_frozen_within_the_block_only():
    model = network()
    model.get_layer('bn1').trainable = False
    with frozen(model, {'conv1', 'bn1'}):
        assert not model.get_layer('conv1').trainable and model.get_layer('conv2').trainable
    assert model.get_layer('conv1').trainable and not model.get_layer('bn1').trainable


def test_reasons_not_to_keep_outputs():
    plain, model = plain_digits().dataset, network(dropout=0.1)
    front, size = {'images', 'conv1', 'bn1', 'relu1'}, 4 * 200 * 6 * 6 * 4
    assert why_not_kept(model, front, plain, size) is None
    assert why_not_kept(model, front, plain, size - 1) == (
        'what they compute of 200 training images takes 0 MiB, of which --frozen_cache_mib allows 0'
    )
    assert why_not_kept(model, {*front, 'drop'}, plain, size) == "layer 'drop' among them is random"
    assert why_not_kept(model, front, make_helper().dataset, size) == 'training images are augmented'
    assert 'more than one tensor' in str(why_not_kept(model, {'images', 'conv2'}, plain, size))
