"""Packed copies hold the weights as float16."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pytest
import tf_keras as keras

from pocketflow.scripts.zoo.pack import halved, main
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.models.files import load_model, save_model


def test_a_copy_has_half_the_size_and_the_rounded_weights(tmp_path, capsys):
    model = keras.Sequential([keras.layers.Input((40,)), keras.layers.Dense(800, name='one')])
    save_model(model, tmp_path / 'model.keras')
    assert main([str(tmp_path / 'model.keras'), str(tmp_path / 'packed.keras')]) == 0
    for packed, whole in zip(load_model(tmp_path / 'packed.keras').get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(packed, whole.astype(np.float16).astype(np.float32))
    sizes = [(tmp_path / name).stat().st_size for name in ('packed.keras', 'model.keras')]
    assert sizes[0] < 0.6 * sizes[1] and f'{sizes[0]} bytes' in capsys.readouterr().out
    assert main([str(tmp_path / 'model.keras'), str(tmp_path / 'packed.keras')]) == 2  # is not overwritten


def test_values_beyond_float16_are_rejected():
    file = io.BytesIO()
    with h5py.File(file, 'w') as written:
        written['a'] = np.float32([1e5])
    with pytest.raises(PocketFlowError, match='a has values beyond 65504, the largest float16'):
        halved(file.getvalue())
