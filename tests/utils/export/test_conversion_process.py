"""What the process that converts answers."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

from pocketflow.utils.export.conversion_process import ACTIONS, answer


@pytest.fixture(autouse=True)
def _temporary_folder(monkeypatch):
    """A request sets it for the whole process."""
    monkeypatch.setattr(tempfile, 'tempdir', tempfile.tempdir)


def test_an_unexpected_error_is_an_answer(tmp_path):
    request = {'inputs': ['images'], 'samples': [str(tmp_path / 'none.npy')]}
    reply = answer(json.dumps({'action': 'try_out', 'temporary': str(tmp_path), **request}))
    assert list(reply) == ['error'] and reply['error'].startswith('FileNotFoundError: ')


def test_a_failure_that_was_foreseen_is_its_own_line(tmp_path):
    samples = tmp_path / 'samples.npy'
    np.save(samples, np.zeros((1, 4), np.float32))
    (tmp_path / 'nonsense.tflite').write_bytes(b'nonsense')
    inputs = {'inputs': ['images'], 'samples': [str(samples)]}
    request = {'path': str(tmp_path / 'nonsense.tflite'), **inputs, 'num_threads': [1]}
    reply = answer(json.dumps({'action': 'try_out', 'temporary': str(tmp_path), **request}))
    assert list(reply) == ['error'] and 'nonsense.tflite: LiteRT cannot load this file' in reply['error']


def test_temporary_files_go_where_the_owner_says(tmp_path, monkeypatch):
    monkeypatch.setitem(ACTIONS, 'look', lambda request: Path(tempfile.mkstemp()[1]).touch())
    assert answer(json.dumps({'action': 'look', 'temporary': str(tmp_path)})) == {}
    assert len(list(tmp_path.iterdir())) == 1
