"""What exported files say about themselves."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.datasets import cifar10_dataset, digits_dataset
from pocketflow.learners.program.file_metadata import Described, image_tensor, mean_and_std, write_described
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.agreement import agreement
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.metadata import Image, Metadata, Tensor
from pocketflow.utils.export.options import ExportOptions
from pocketflow.utils.graph import Head
from tests.learners.conftest import make_helper

SAME = agreement(np.eye(2), np.eye(2))
DIGITS = tuple('0123456789')


def described(model: keras.Model | None = None, head: Head | None = None, **options) -> Metadata:
    helper = make_helper()
    model = model or helper.build_model()
    return Described(helper, ExportOptions(**options), model, head, ('full-prec',), 30).metadata('int8', SAME)


def test_a_classifier_with_probabilities():
    found = described(head=Head('softmax', 'logits'), input='uint8', license='MIT', version='3')
    assert found.labels == DIGITS and (found.license, found.version, found.author) == ('MIT', '3', '')
    assert found.inputs == {'images': Tensor('image', 'Pixels from 0 to 255.', Image(1, (0.0,), (1.0,)))}
    ((name, output),) = found.outputs.items()
    assert (output.name, output.has_labels, output.limits) == ('probability', True, (0.0, 1.0))
    assert name == 'fc4'
    assert found.figures['same_answers'] == 1 and found.figures['evaluation_samples'] == 30
    assert found.description == 'lenet at digits, made by full-prec, int8.'
    assert described(description='mine').description == 'mine'


def test_a_classifier_with_logits_and_normalised_images():
    found = described()
    ((_, output),) = found.outputs.items()
    assert (output.name, output.has_labels, output.limits) == ('logits', True, None)
    image = found.inputs['images'].image
    assert image == Image(1, (digits_dataset.MEAN,), (digits_dataset.STD,))


def test_outputs_that_are_no_scores_of_the_classes_have_no_labels():
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, keras.layers.Dense(1, name='score')(keras.layers.Flatten()(inputs)))
    found = described(model)
    assert not found.labels and found.outputs == {'score': Tensor('score')}


def test_names_of_several_inputs_and_outputs():
    one, two = keras.Input((3,), name='one'), keras.Input((3,), name='two')
    model = keras.Model([one, two], {'sum': keras.layers.Add(name='a')([one, two]), 'first': one})
    found = described(model)
    assert list(found.inputs) == ['one', 'two'] and list(found.outputs) == ['first', 'sum'] and not found.labels


def test_normalisations(monkeypatch):
    dataset = make_helper().dataset
    kind = type(dataset)
    monkeypatch.setattr(kind, 'normalize', lambda self, images: tf.image.per_image_standardization(images))
    assert mean_and_std(dataset) is None and image_tensor(dataset, False).image == Image(1)
    monkeypatch.setattr(kind, 'normalize', lambda self, images: tf.cast(images, tf.float32) / 127.5 - 1)
    assert mean_and_std(dataset) == ((127.5,), (127.5,))
    monkeypatch.setattr(kind, 'image_shape', (8, 8))
    assert image_tensor(dataset, False).image is None


def test_classes_of_the_included_data_sets():
    assert cifar10_dataset.Cifar10Dataset.classes[3] == 'cat' and len(cifar10_dataset.Cifar10Dataset.classes) == 10


def test_a_description_that_cannot_be_used_costs_nothing(tmp_path, caplog):
    inputs = keras.Input((8, 8, 1))
    path = tmp_path / 'model_float32.tflite'
    content = convert(keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(inputs))), 'float32')
    path.write_bytes(content)

    def refuse(file_format, described):
        raise PocketFlowError('LiteRT crashed')

    write_described(path, described(), refuse, 'float32')
    assert path.read_bytes() == content
    write_described(path, described(), lambda file_format, described: None, 'float32')
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        assert archive.read('labels.txt').decode().split() == list(DIGITS)
        assert json.loads(archive.read('figures.json'))['format'] == 'int8'


@pytest.mark.parametrize('name', ['a\nb', '  a   b '])
def test_a_label_is_one_line(name, monkeypatch):
    monkeypatch.setattr(type(make_helper().dataset), 'classes', (name, *DIGITS[1:]))
    assert described().labels[0] == 'a b'
