"""Randomly changed files of each format are read, or refused by one line."""

from __future__ import annotations

import pytest
import tf_keras as keras

from tests.utils.models import fuzz

layers = keras.layers
NUMBER = 50
"""Changed files of each format. `python -m tests.utils.models.fuzz --number=5000` reads more of them by hand."""


@pytest.fixture(scope='module')
def sound(tmp_path_factory, keras3_folder):
    """A folder with a small model in each format."""
    folder = tmp_path_factory.mktemp('fuzz')
    for name in ('small.keras', 'small.h5'):
        (folder / name).write_bytes((keras3_folder / name).read_bytes())
    inputs = keras.Input((4,), name='images')
    x = layers.BatchNormalization(name='norm')(layers.Dense(4, activation='relu', name='one')(inputs) * 2.0)
    model = keras.Model(inputs, layers.Dense(2, name='two')(layers.Add(name='add')([x, inputs])))
    model.save(folder / 'old.keras')
    model.save(folder / 'old.h5', save_format='h5')
    model.save(folder / 'old', save_format='tf')
    return folder


@pytest.mark.parametrize('kind', fuzz.FORMATS)
@pytest.mark.filterwarnings('ignore:Duplicate name', 'ignore:You are saving your model as an HDF5 file')
def test_changed_files_are_read_or_refused(sound, tmp_path, kind):
    lines = [fuzz.outcome(sound, kind, number, tmp_path) for number in range(NUMBER)]
    assert '' in lines  # some changes do not matter
    assert len(set(lines)) > NUMBER / 10  # and the others are not all stopped at the same place
