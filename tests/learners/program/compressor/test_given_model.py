"""Networks of both Keras, as files."""

from __future__ import annotations

import zipfile

import keras as keras3  # noqa: TID251 (what users have)
import pytest
import tf_keras as keras

from pocketflow.learners.program.compressor.given_model import file_name, is_path, refuse_other_models, write_model
from pocketflow.utils.errors import UsageError


@pytest.mark.parametrize('library', [keras, keras3])
def test_a_model_is_saved_by_its_own_library(library, tmp_path):
    model = library.Sequential([library.layers.Input((3,)), library.layers.Dense(2)], name='my_net')
    refuse_other_models(model)
    text = write_model(model, tmp_path)
    assert file_name(model) == 'my_net.keras' and text.startswith('my_net.keras ')
    with zipfile.ZipFile(tmp_path / 'my_net.keras') as archive:
        assert ('"keras_version": "3' in archive.read('metadata.json').decode()) == (library is keras3)


def test_names_of_files_hold_no_other_characters():
    class Named:
        name = 'a/b c'

    assert (file_name(Named()), file_name(object())) == ('a_b_c.keras', 'model.keras')


@pytest.mark.parametrize('model', [3, object(), keras.layers.Dense(1), lambda x: x])
def test_what_is_no_model_is_refused(model):
    assert not is_path(model)
    with pytest.raises(UsageError, match='^model: .* given; accepted: a functional or sequential model'):
        refuse_other_models(model)


def test_a_model_that_keras_cannot_save_is_refused(tmp_path, monkeypatch):
    def save(self, *_, **__):
        raise NotImplementedError('get_config is missing\nin Own')

    monkeypatch.setattr(keras.Sequential, 'save', save)
    with pytest.raises(
        UsageError,
        match=r'^model: Sequential cannot be saved as a .keras file \(get_config is missing.*\); accepted: .*$',
    ) as caught:
        write_model(keras.Sequential(), tmp_path)
    assert '\n' not in str(caught.value)
