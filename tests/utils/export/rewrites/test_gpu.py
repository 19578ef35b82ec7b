from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.lint.delegation import ask
from pocketflow.utils.export.lint.linter import lint_file
from pocketflow.utils.export.rewrites import rewrite, rewritten
from pocketflow.utils.export.rewrites.gpu import SCALE

layers = keras.layers


@pytest.fixture(scope='module')
def net() -> keras.Model:
    """A concatenation of six, a layer norm with learned weights, and a mean over time."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((12, 4))
    parts = [layers.Dense(3, name=f'part{number}')(inputs) for number in range(6)]
    features = layers.LayerNormalization(name='norm')(layers.Concatenate(name='concat')(parts))
    model = keras.Model(inputs, layers.GlobalAveragePooling1D(name='mean')(features), name='net')
    rng = np.random.default_rng(0)
    model.get_layer('norm').set_weights([rng.uniform(0.5, 2, 18), rng.normal(size=18)])
    return model


def test_the_rewritten_model_is_equal(net):
    before = net.get_weights()
    result = rewritten(net, 'gpu')
    assert list(result.changes) == ['concat', 'norm', 'mean'] and result.difference < 1e-6
    images = np.random.default_rng(3).normal(size=(5, 12, 4)).astype(np.float32)
    np.testing.assert_allclose(result.model(images), net(images), atol=1e-5)
    assert [tensor.shape for tensor in result.model.outputs] == [tensor.shape for tensor in net.outputs]
    assert all(np.array_equal(old, new) for old, new in zip(before, net.get_weights(), strict=True))


def test_its_file_has_no_finding_that_names_the_rewrite(net, tmp_path):
    results = {}
    for name, model in (('before', net), ('after', rewritten(net, 'gpu').model)):
        path = tmp_path / f'{name}.tflite'
        path.write_bytes(convert(model, 'float32'))
        results[name] = lint_file(path, ask=ask)
    cured = {name: {f.check for f in result.findings if f.rewrite == 'gpu'} for name, result in results.items()}
    assert cured == {'before': {'many-inputs', 'mean-axes', 'layer-norm'}, 'after': {'layer-norm'}}
    assert not results['before'].of('xnnpack').is_complete and results['after'].of('xnnpack').is_complete


def test_a_model_without_such_layers_stays_as_it_is():
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()([inputs] * 4)))
    result = rewritten(model, 'gpu')
    assert result.model is model and not result.changes and result.difference == 0


def test_the_scaled_norm_is_right_in_float16_where_the_plain_one_overflows():
    values = np.array([[-900.0, 100.0, 500.0, 300.0]], np.float16)  # deviations -900, 100, 500, 300 from the mean 0
    exact = values.astype(np.float64) / np.sqrt(np.mean(values.astype(np.float64) ** 2))
    with np.errstate(over='ignore'):
        plain = values / np.sqrt(np.mean(values * values, dtype=np.float16))
    assert np.all(plain == 0)
    scaled = np.float16(SCALE) * values
    result = scaled / np.sqrt(np.mean(scaled * scaled, dtype=np.float16))
    np.testing.assert_allclose(result, exact, rtol=2e-3)


def test_a_wrong_rewrite_is_rejected(net, monkeypatch):
    monkeypatch.setattr(rewrite, 'largest_difference', lambda first, second, seed: float('nan'))
    with pytest.raises(PocketFlowError, match='--rewrite_for=gpu: the outputs of the rewritten model differ'):
        rewritten(net, 'gpu')
