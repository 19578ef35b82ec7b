from __future__ import annotations

import os

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.container import save_container
from pocketflow.utils.errors import UsageError
from pocketflow.utils.models.files import save_model
from pocketflow.utils.runs.model_reader import ModelReader, stamp_of

layers = keras.layers


def network(units: int = 3) -> keras.Model:
    return keras.Sequential([layers.Input((4,)), layers.Dense(units)])


def test_a_file_is_read_once_by_whatever_name(tmp_path, monkeypatch):
    save_model(network(), tmp_path / 'model.keras')
    (tmp_path / 'link.keras').symlink_to(tmp_path / 'model.keras')
    monkeypatch.chdir(tmp_path)
    reader = ModelReader()
    model = reader.read(tmp_path / 'model.keras').model
    assert all(reader.read(path).model is model for path in (tmp_path / '.' / 'model.keras', tmp_path / 'link.keras'))
    assert ModelReader().read(tmp_path / 'model.keras').model is not model


def test_a_changed_file_is_read_again(tmp_path):
    path, reader = tmp_path / 'model.keras', ModelReader()
    save_model(network(3), path)
    assert reader.read(path).model.output_shape == (None, 3)
    save_model(network(5), path)
    assert reader.read(path).model.output_shape == (None, 5)
    before = reader.read(path).model
    os.utime(path, ns=(1, 1))
    assert reader.read(path).model is not before
    path.unlink()
    with pytest.raises(UsageError, match='No such file'):
        reader.read(path)


def test_results_are_kept_by_what_they_are(tmp_path):
    path, reader, made = tmp_path / 'model.keras', ModelReader(), []
    path.write_text('any')
    for what in ('first', 'second', 'first'):
        assert reader.once(path, what, lambda what=what: made.append(what) or what) == what
    assert made == ['first', 'second']


def test_what_fails_is_tried_again(tmp_path):
    path, reader = tmp_path / 'model.keras', ModelReader()
    path.write_text('no model')
    for _ in range(2):
        with pytest.raises(UsageError, match='cannot be read as a Keras model'):
            reader.read(path)


def test_containers_are_read_with_their_codes(tmp_path):
    model = network()
    save_container(model, None, tmp_path / 'model.pfz')
    found = ModelReader().read(tmp_path / 'model.pfz')
    np.testing.assert_array_equal(found.model.get_weights()[0], model.get_weights()[0])
    assert found.encodings == {}


def test_a_folder_changes_with_any_of_its_files(tmp_path):
    (tmp_path / 'model' / 'variables').mkdir(parents=True)
    (tmp_path / 'model' / 'variables' / 'index').write_text('1')
    before = stamp_of(tmp_path / 'model')
    assert stamp_of(tmp_path / 'model') == before
    (tmp_path / 'model' / 'variables' / 'index').write_text('12')
    assert stamp_of(tmp_path / 'model') != before
    assert stamp_of(tmp_path / 'nothing') == ()
