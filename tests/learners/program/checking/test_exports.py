"""Trial exports, against the sizes of real ones."""

from __future__ import annotations

import tempfile

import pytest
import tf_keras as keras

from pocketflow.learners.model_files import Finished
from pocketflow.learners.program.checking.exports import NUM_SAMPLES, trial_export
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.options import ExportOptions
from pocketflow.utils.graph import Head
from tests.learners.conftest import make_helper

AUTOGRAPH = '__autograph_generated_file'
"""How files of TensorFlow begin that go when the process ends."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The place of temporary files."""
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    return tmp_path


def test_formats_are_converted_checked_and_timed(folder):
    helper = make_helper()
    helper.max_training_images = NUM_SAMPLES
    model = helper.build_model()
    found = trial_export(helper, ExportOptions(), model, Finished(model), ['float32', 'int8', 'pfz'], None)
    by_format = {item['format']: item for item in found.measured['exports']}
    description = by_format['float32']['bytes'] - len(convert(model, 'float32'))
    assert 0 < description < 2000
    assert by_format['int8']['bytes'] < by_format['float32']['bytes'] and by_format['int8']['latency_ms']['p50'] > 0
    assert found.conversion_seconds.keys() == {'float32', 'int8'}
    assert found.seconds >= sum(found.conversion_seconds.values()) > 0
    assert not [path for path in folder.iterdir() if not path.name.startswith(AUTOGRAPH)]


def test_a_smaller_model_is_compared_with_the_first(folder):
    helper = make_helper()
    inputs = keras.Input(helper.dataset.image_shape)
    small = keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(inputs)))
    found = trial_export(helper, ExportOptions(), helper.build_model(), Finished(small), ['float32'], 'float32')
    assert found.measured['exports'][0]['size_ratio'] > 2


def test_files_have_the_form_of_those_of_the_run(folder):
    helper, head = make_helper(), Head('softmax', 'logits')
    model = helper.build_model()
    options = ExportOptions(input='uint8')
    found = trial_export(helper, options, model, Finished(model, head=head), ['float32'], None)
    assert found.measured['files'] == {'input': 'uint8', 'head': 'given', 'outputs': 'softmax'}
    assert found.measured['exports'][0]['operators']['SOFTMAX'] == 1


def test_models_that_cannot_be_exported(folder):
    helper = make_helper()
    model = helper.build_model()
    with pytest.raises(PocketFlowError, match='no kernel of it is on a grid'):
        trial_export(helper, ExportOptions(), model, Finished(model), ['mixed'], None)
