from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.export.signature import identifiers, input_names, named_inputs, output_names, structured_outputs

FORMATS = {'float32': 1e-5, 'float16': 1e-2, 'dynamic': 0.05, 'int8': 0.05}


@pytest.fixture(scope='module')
def network() -> keras.Model:
    """Two inputs of different shapes, whose order is not that of their names, and a dict of outputs."""
    keras.utils.set_random_seed(0)
    wide, image = keras.Input((3,), name='wide'), keras.Input((4, 4, 1), name='image')
    features = keras.layers.Flatten()(keras.layers.Conv2D(2, 3, activation='relu')(image))
    joined = keras.layers.Concatenate()([features, wide])
    outputs = {'sum': keras.layers.Dense(1, name='last')(joined), 'classes': keras.layers.Dense(5, name='of')(joined)}
    return keras.Model([wide, image], outputs)


@pytest.fixture(scope='module')
def samples() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        'image': rng.normal(size=(8, 4, 4, 1)).astype(np.float32),
        'wide': rng.normal(size=(8, 3)).astype(np.float32),
    }


def test_names(network):
    assert (input_names(network), output_names(network)) == (['wide', 'image'], ['classes', 'sum'])
    one = keras.Sequential([keras.layers.Dense(1, input_shape=(2,), name='logits')])
    assert (input_names(one), output_names(one)) == (['logits_input'], ['logits'])
    image = keras.Sequential([keras.layers.Flatten(input_shape=(2, 2, 1), name='pre/dictions')])
    assert (input_names(image), output_names(image)) == (['images'], ['pre_dictions'])
    assert identifiers(['a', 'a', 'a/b', 'é']) == ['a', 'a_1', 'a_b', 'x_']


@pytest.mark.parametrize('file_format', list(FORMATS))
def test_files_of_several_inputs_and_outputs(network, samples, file_format):
    runner = LiteRtRunner(convert(network, file_format, samples))
    outputs = structured_outputs(network, runner.predict(named_inputs(network, samples), batch_size=3))
    expected = network.predict(samples, verbose=0)
    assert outputs.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(outputs[name], array, atol=FORMATS[file_format] * np.ptp(array))


def test_wrong_inputs_are_refused(network, samples):
    runner = LiteRtRunner(convert(network, 'float32'))
    with pytest.raises(PocketFlowError, match='the file takes several inputs by name: '):
        runner.predict(samples['wide'])
    with pytest.raises(PocketFlowError, match='inputs wide given, but the file takes '):
        runner.predict({'wide': samples['wide']})
    with pytest.raises(PocketFlowError, match=r'input of shape \(8, 3\), but the file takes \(None, 4, 4, 1\)'):
        runner.predict({'wide': samples['wide'], 'image': samples['wide']})
