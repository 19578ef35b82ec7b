"""Networks from elsewhere, as `--save_path` takes them beside a pair."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.learners.program.input_files import content_fingerprint
from pocketflow.learners.program.pipeline import load_in_standard_form, resolve_model_path
from pocketflow.utils.errors import UsageError
from pocketflow.utils.runs.model_reader import ModelReader
from tests.learners.conftest import make_helper


@pytest.fixture(scope='module')
def helper():
    return make_helper('lenet_at_digits')


@pytest.mark.parametrize('name', ['net', 'net.h5', 'net.weights.h5'])
@pytest.mark.filterwarnings('ignore:You are saving your model as an HDF5 file')
def test_a_network_of_the_pair(helper, tmp_path, name):
    model, path = helper.build_model(), tmp_path / name
    if name == 'net.weights.h5':
        model.save_weights(path)
    else:
        model.save(path, save_format='h5' if path.suffix else 'tf')
    assert resolve_model_path(str(path), '--save_path') == path
    back = load_in_standard_form(path, helper, ModelReader())[0].model
    samples = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    np.testing.assert_array_equal(back(samples), model(samples))


def test_a_folder_has_a_fingerprint(helper, tmp_path):
    (tmp_path / 'variables').mkdir()
    (tmp_path / 'saved_model.pb').write_bytes(b'graph')
    (tmp_path / 'variables' / 'variables.index').write_bytes(b'one')
    before = content_fingerprint(tmp_path)
    assert content_fingerprint(tmp_path) == before
    (tmp_path / 'variables' / 'variables.index').write_bytes(b'two')
    assert content_fingerprint(tmp_path) != before


def test_a_checkpoint_is_named(tmp_path):
    (tmp_path / 'ckpt.index').write_bytes(b'x')
    with pytest.raises(UsageError, match='--save_path=.*ckpt: it is a checkpoint of TensorFlow; build the network'):
        resolve_model_path(str(tmp_path / 'ckpt'), '--save_path')
