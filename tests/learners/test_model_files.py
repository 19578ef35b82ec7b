from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.model_files import Finished, load_any, load_own_model
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.graph import Head, take_head_off
from pocketflow.utils.quantization.post_training import quantize
from pocketflow.utils.runs.records import DamagedRecordError

IMAGES = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


@pytest.fixture
def model() -> keras.Model:
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(3, name='last')(inputs))


@pytest.mark.parametrize('head', [None, Head('softmax', 'last'), Head('sigmoid', 'end')])
def test_both_files_hold_the_whole_network(head, model, tmp_path):
    quantized = quantize(model, bits=4, layers=['last'])
    model, encodings = quantized.model, quantized.encodings
    finished = Finished(model, encodings, head)
    finished.save(tmp_path)
    for name in ('model.keras', 'model.pfz'):
        whole = load_any(tmp_path / name)
        np.testing.assert_allclose(whole.model(IMAGES), finished.whole(IMAGES), atol=1e-6)
        logits, found = take_head_off(whole.model)
        assert (found and found.function) == (head and head.function)
        np.testing.assert_array_equal(logits(IMAGES), model(IMAGES))
    assert whole.encodings.keys() == {'last'}


def test_without_codes_there_is_no_container(model, tmp_path):
    Finished(model).save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['model.keras']
    np.testing.assert_array_equal(load_own_model(tmp_path / 'model.keras', 'x')(IMAGES), model(IMAGES))


def test_what_is_no_model_is_refused(tmp_path):
    for name, error in (('model.keras', UsageError), ('model.pfz', PocketFlowError)):
        (tmp_path / name).write_bytes(b'nothing')
        with pytest.raises(error, match=f'{tmp_path}/{name}'):
            load_any(tmp_path / name)
    with pytest.raises(DamagedRecordError, match='model.keras: is damaged .*; delete it'):
        load_own_model(tmp_path / 'model.keras', 'delete it')
