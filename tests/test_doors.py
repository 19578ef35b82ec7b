"""The functions of plain values that `pocketflow` exports, on networks of others, and what they refuse."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

import pocketflow
from pocketflow.learners.channel_pruning.pruning import prune_channels
from pocketflow.utils.errors import UsageError

layers = keras.layers


def small() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, activation='relu', name='conv1')(inputs)
    x = layers.Conv2D(8, 3, activation='relu', name='conv2')(x)
    x = layers.Dense(16, activation='relu', name='hidden')(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(4, name='logits')(x), name='small')


@pytest.fixture(scope='module')
def model() -> keras.Model:
    return small()


@pytest.fixture(scope='module')
def mobilenet() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=10)


def samples(shape: tuple[int, ...] = (8, 8, 1), count: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, *shape)).astype(np.float32)


def test_every_public_name_is_found_where_it_is_defined():
    for name in pocketflow.__all__:
        function = getattr(pocketflow, name)
        assert function.__name__ == name and function.__module__.startswith('pocketflow.')
        called = function.run if isinstance(function, type) else function
        documented = {*function.__doc__.split(), *called.__doc__.split()}
        assert {'Args:', 'Raises:'} <= documented or name == 'load_model'


def test_importing_the_package_loads_no_tensorflow():
    code = 'import pocketflow, sys; print(sorted({"tensorflow", "numpy", "absl"} & set(sys.modules)))'
    out = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True).stdout
    assert out == '[]\n'


NUM_EXAMPLES = {'pocketflow.learners.program.compressor.compressor': 1}
"""Fewer than the usual three in the docstring: a whole run is tested, and shown in the notebook, elsewhere."""
MODULES = sorted({module for name, module in pocketflow._PUBLIC.items() if name != 'load_model'})


@pytest.mark.parametrize('module', MODULES)
def test_the_examples_of_the_docstrings_run(module: str, tmp_path: Path):
    if module == 'pocketflow.utils.channels':
        module = 'pocketflow.utils.channels.rewrite'
    result = doctest.testmod(importlib.import_module(module), extraglobs={'folder': str(tmp_path)})
    assert result.attempted >= NUM_EXAMPLES.get(module, 3) and result.failed == 0


# Channels.


def test_pruned_networks_are_smaller_and_the_given_one_stays(model: keras.Model):
    before = model.get_weights()
    result = pocketflow.prune_channels(model, samples(), ratio=0.5)
    assert result.model.count_params() < 0.5 * model.count_params()
    assert result.plan.predicted['parameters'] == result.model.count_params()
    assert result.model(samples()).shape == (40, 4)
    assert all(np.array_equal(one, two) for one, two in zip(before, model.get_weights(), strict=True))


def test_networks_of_others_are_pruned(mobilenet: keras.Model):
    result = pocketflow.prune_channels(mobilenet, samples((32, 32, 3), 4), selector='l1', num_positions=1)
    assert result.model.count_params() < 0.6 * mobilenet.count_params()
    assert result.model(samples((32, 32, 3), 2)).shape == (2, 10)


def test_nested_and_sequential_models_are_pruned():
    base = small()
    nested = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.Model(base.input, base.layers[-2].output), layers.Dense(4)]
    )
    result = pocketflow.prune_channels(nested, samples(), selector='l1')
    assert result.model.get_layer('conv1').filters == 4
    assert result.model.get_layer('conv2').filters == 4


def test_only_the_named_layers_lose_inputs(model: keras.Model):
    result = pocketflow.prune_channels(model, samples(), layers=['conv2'])
    assert list(result.plan.values) == ['conv2'] and len(result.plan.values['conv2']) == 4
    assert result.model.get_layer('conv2').filters == 8


def test_given_channels_are_kept(model: keras.Model):
    result = pocketflow.prune_channels(model, samples(), channels={'conv2': [1, 3, 6]})
    assert result.plan.values['conv2'] == (1, 3, 6) and len(result.plan.values['hidden']) == 8
    assert result.model.get_layer('conv1').filters == 3
    kernel = model.get_layer('conv1').kernel.numpy()[..., [1, 3, 6]]
    np.testing.assert_array_equal(result.model.get_layer('conv1').kernel, kernel)


# Bits.


@pytest.mark.parametrize(
    ('options', 'layer', 'num_values'),
    [
        ({'bits': 3}, 'conv2', 8),
        ({'bits': 3, 'method': 'codebook'}, 'conv2', 8),
        ({'bits': 2, 'bucket': 'channel'}, 'conv2', 32),
        ({'bits': 2, 'bucket': 'channel', 'symmetric': True}, 'conv2', 17),
        ({'bits': {'logits': 1}}, 'logits', 2),
        ({'bits': 1, 'layers': ['logits']}, 'logits', 2),
    ],
    ids=str,
)
def test_weights_have_so_many_values_and_come_back_from_a_container(
    model: keras.Model, options: dict, layer: str, num_values: int, tmp_path: Path
):
    result = pocketflow.quantize(model, **options)
    assert len(np.unique(result.model.get_layer(layer).kernel)) == num_values
    np.testing.assert_allclose(result.trainable(samples()), result.model(samples()), rtol=1e-5, atol=1e-6)
    pocketflow.save_container(result.model, result.encodings, tmp_path / 'model.pfz')
    loaded = pocketflow.load_container(tmp_path / 'model.pfz')
    np.testing.assert_array_equal(loaded.model.get_layer(layer).kernel, result.model.get_layer(layer).kernel)
    assert loaded.encodings.keys() == result.encodings.keys() == result.plan.values.keys()


def test_by_default_the_first_and_the_last_layer_stay_whole(model: keras.Model):
    result = pocketflow.quantize(model)
    assert result.plan.values == {'conv2': 4, 'hidden': 4}
    np.testing.assert_array_equal(result.model.get_layer('conv1').kernel, model.get_layer('conv1').kernel)


def test_training_moves_the_weights_and_keeps_the_grid(model: keras.Model):
    result = pocketflow.quantize(model, bits=2)
    result.trainable.compile('sgd', keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    result.trainable.fit(samples(), np.arange(40) % 4, verbose=0)
    after = result.after_training()
    kernel = after.model.get_layer('conv2').kernel.numpy()
    assert len(np.unique(kernel)) == 4
    assert not np.array_equal(kernel, result.model.get_layer('conv2').kernel)
    np.testing.assert_array_equal(after.encodings['conv2'].decode(), kernel)


def test_activations_are_rounded_too(model: keras.Model):
    result = pocketflow.quantize(model, bits=8, activation_bits=2, images=samples())
    outputs = keras.Model(result.model.input, result.model.get_layer('hidden_quantize').output)(samples())
    assert len(np.unique(outputs)) <= 4


# Zeros.


def test_sparse_models_of_others_keep_their_zeros_in_training(mobilenet: keras.Model):
    sparse = pocketflow.sparsify(mobilenet, ratio=0.75, layers=['Conv_1', 'block_1_depthwise'])
    expected = {'Conv_1': 112 * 1280 // 4, 'block_1_depthwise': 9 * 48 // 4}
    for name, count in expected.items():
        assert int(np.count_nonzero(sparse.masks[name][0])) == count
        assert np.count_nonzero(sparse.model.get_layer(name).weights[0]) == count
    assert sparse.plan.values == {'block_1_depthwise': 0.75, 'Conv_1': 0.75}


def test_training_keeps_zeros_with_the_callback_and_fills_them_without(model: keras.Model):
    sparse = pocketflow.sparsify(model, ratio=0.5)
    sparse.model.compile('sgd', keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = sparse.model.get_layer('hidden').kernel.numpy()
    sparse.model.fit(samples(), np.arange(40) % 4, verbose=0, callbacks=[sparse.keep_zeros()])
    after = sparse.model.get_layer('hidden').kernel.numpy()
    assert np.array_equal(after != 0, before != 0) and not np.array_equal(after, before)
    sparse.model.fit(samples(), np.arange(40) % 4, verbose=0)
    assert np.count_nonzero(sparse.model.get_layer('hidden').kernel) > np.count_nonzero(before)


def test_larger_layers_lose_more_with_heurist(model: keras.Model):
    values = pocketflow.sparsify(model, 0.5, 'heurist').plan.values
    assert values['hidden'] > values['conv2'] > values['conv1']


# Files.


REFUSED = {
    'no model': (lambda model: pocketflow.quantize('model.keras'), 'it is a builtins.str, not a model of tf_keras'),
    'shape': (
        lambda model: pocketflow.prune_channels(model, np.zeros((4, 9, 9, 1))),
        r"images of shape \(4, 9, 9, 1\), but model 'small' takes \(None, 8, 8, 1\)",
    ),
    'empty': (lambda model: pocketflow.prune_channels(model, np.zeros((0, 8, 8, 1))), 'give at least one sample'),
    'words': (lambda model: pocketflow.prune_channels(model, ['a']), 'images are list, not an array of numbers'),
    'nan': (lambda model: pocketflow.prune_channels(model, np.full((1, 8, 8, 1), np.nan)), 'infinite or not a number'),
    'ratio': (lambda model: pocketflow.prune_channels(model, samples(), 1), 'ratio=1: give a share from 0 up to'),
    'selector': (
        lambda model: pocketflow.prune_channels(model, samples(), selector='l3'),
        "selector='l3': give one of activation, bn-scale, ",
    ),
    'ridge': (lambda model: pocketflow.prune_channels(model, samples(), ridge=0), 'num_positions=10, ridge=0: give'),
    'layer': (
        lambda model: pocketflow.prune_channels(model, samples(), layers=['conv9']),
        "layers names 'conv9', which cannot be pruned; those are: conv1, conv2, hidden, logits",
    ),
    'string': (lambda model: pocketflow.prune_channels(model, samples(), layers='conv2'), r"such as \['conv2'\]"),
    'channel': (
        lambda model: pocketflow.prune_channels(model, samples(), channels={'conv2': [8]}),
        "layer 'conv2' has no input channel 8; it has 8, numbered 0..7",
    ),
    'channels elsewhere': (
        lambda model: pocketflow.prune_channels(model, samples(), layers=['hidden'], channels={'conv2': [0]}),
        "'conv2' is named in channels or ratio, but not in layers",
    ),
    'bits': (lambda model: pocketflow.quantize(model, 17), 'bits=17: with these settings, give 1 to 16'),
    'codebook bits': (lambda model: pocketflow.quantize(model, 9, 'codebook'), 'bits=9: with these settings, .* to 8'),
    'method': (lambda model: pocketflow.quantize(model, method='ternary'), 'give one of uniform, codebook'),
    'bucket': (
        lambda model: pocketflow.quantize(model, bucket='row'),
        "bucket='row': give layer, channel, or a number",
    ),
    'two grids': (lambda model: pocketflow.quantize(model, bucket=64, symmetric=True), 'drop one of the two'),
    'no images': (lambda model: pocketflow.quantize(model, activation_bits=8), 'give images too'),
    'nothing to quantize': (lambda model: pocketflow.quantize(model, layers=[]), 'no layer .* is left to quantize'),
    'sparsity': (lambda model: pocketflow.sparsify(model, 1.5), 'ratio=1.5: give a share'),
    'sparsity of a layer': (lambda model: pocketflow.sparsify(model, {'conv1': -1}), 'ratio of conv1=-1: give a share'),
    'protocol': (lambda model: pocketflow.sparsify(model, protocol='optimal'), 'give one of uniform, heurist'),
    'all zeros': (lambda model: pocketflow.sparsify(model, 0.9999, 'heurist'), 'ratio=0.9999: with a weight left in'),
    'format': (lambda model: pocketflow.export_tflite(model, 'x', ['int4']), "unknown format 'int4'; known: dynamic"),
    'container': (lambda model: pocketflow.export_tflite(model, 'x', ['pfz']), 'use save_container'),
    'calibration': (lambda model: pocketflow.export_tflite(model, 'x'), "format 'int8' needs images"),
    'encodings': (lambda model: pocketflow.export_tflite(model, 'x', ['mixed']), "format 'mixed' needs encodings"),
    'no file': (lambda model: pocketflow.measure('x.tflite', samples()), 'x.tflite: there is no such file'),
    'no path': (lambda model: pocketflow.measure(3, samples()), 'cannot measure a int: give the path'),
    'labels': (
        lambda model: pocketflow.measure(model, samples(), np.eye(40)),
        r'labels of shape \(40, 40\) and type float64: give 40 class numbers',
    ),
}


@pytest.mark.parametrize(('call', 'message'), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused_in_one_line(model: keras.Model, call, message: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message) as caught:
        call(model)
    assert '\n' not in str(caught.value) and '--' not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'pocketflow' has no attribute 'prune'"):
        pocketflow.prune  # noqa: B018


def test_the_learner_and_the_notebook_call_one_function():
    assert pocketflow.prune_channels is prune_channels
