from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from absl import logging

from pocketflow.datasets.folder_options import FolderOptions
from pocketflow.nets.abstract_model_helper import GivenFile
from pocketflow.nets.given import GivenAtFolder, name_of
from pocketflow.nets.tasks.agreement import SameClass
from pocketflow.utils.errors import UsageError
from pocketflow.utils.models.files import save_model
from tests.datasets.sources.conftest import write_numbered, write_png

layers = keras.layers


def network(shape=(4, 4, 3), outputs=2, front=()) -> keras.Model:
    inputs = features = layers.Input(shape)
    for layer in front:
        features = layer(features)
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1)(features))
    return keras.Model(inputs, layers.Dense(outputs)(features))


def given(model: keras.Model, path, data, **options) -> GivenAtFolder:
    save_model(model, path / 'mine.keras')
    file = GivenFile(str(path / 'mine.keras'), path / 'mine.keras')
    return GivenAtFolder.of_options(
        GivenAtFolder.net_options_class(), FolderOptions(data_dir_local=str(data), **options), 0, file
    )


@pytest.fixture
def data(tmp_path):
    return write_numbered(tmp_path / 'data', {'cat': 8, 'dog': 8})


def test_the_network_says_size_channels_and_scale(tmp_path, data):
    helper = given(network((4, 6, 1)), tmp_path, data)
    assert helper.dataset.image_shape == (4, 6, 1) and helper.dataset.scale == '0-1'
    assert (helper.model_name, helper.dataset_name) == ('mine', 'folder')
    smaller = helper.for_finetuning(0.5, batch_size=4)
    assert (smaller.model_name, smaller.dataset.options.batch_size) == ('mine', 4)
    assert given(network(front=[layers.Rescaling(1 / 255)]), tmp_path, data).dataset.scale == 'none'
    assert given(network(front=[lambda pixels: pixels / 255]), tmp_path, data).dataset.scale == 'none'
    behind = [layers.Conv2D(3, 1), layers.Rescaling(0.1)]
    assert given(network(front=behind), tmp_path, data).dataset.scale == '0-1'


def test_any_size_is_for_the_user_to_say(tmp_path, data):
    assert given(network((None, None, 3)), tmp_path, data, image_size='5,7').dataset.image_shape == (5, 7, 3)
    with pytest.raises(UsageError, match='--image_size is missing: the network takes images of any size'):
        given(network((None, None, 3)), tmp_path, data)


@pytest.mark.parametrize(
    ('model', 'options', 'message'),
    [
        (network(), {'image_size': '5,4'}, r'--image_size=5,4: .*mine.keras takes images of 4 x 4 pixels'),
        (network((4, 4, 2)), {}, r'takes inputs of shape \(None, 4, 4, 2\); .* with 3 channels, or 1 for grey'),
        (network((4, 4, 1)), {'mean': '1,2,3'}, '--image_mean=1,2,3: must be one number, or 1, as'),
    ],
)
def test_what_does_not_fit_is_refused(model, options, message, tmp_path, data):
    with pytest.raises(UsageError, match=message):
        given(model, tmp_path, data, **options)


def test_as_many_outputs_as_classes(tmp_path, data):
    helper = given(network(outputs=3), tmp_path, data)
    with pytest.raises(UsageError, match=r'^file: has 3 outputs, but .*data has images of 2 classes \(cat, dog\)'):
        helper.standard_form(network(outputs=3), 'file', '')
    assert helper.standard_form(network(outputs=1), 'file', '').model.output_shape == (None, 2)
    assert helper.standard_form(network(), 'file', '').model.output_shape == (None, 2)
    with pytest.raises(UsageError, match='not trained from random weights; give --enbl_warm_start'):
        helper.new_model()


def test_a_network_that_was_trained_on_other_scales_is_told(tmp_path, monkeypatch):
    """Right for values above 0 and below: with values from 0 to 1 all are of one class."""
    for number in range(20):
        write_png(tmp_path / 'data/dark' / f'{number}.png', np.full((4, 4, 1), 20 + number, np.uint8))
        write_png(tmp_path / 'data/light' / f'{number}.png', np.full((4, 4, 1), 220 + number, np.uint8))
    model, found = network(), []
    kernel = np.zeros((3, 4), np.float32)
    kernel[:, 0] = 1
    model.set_weights([kernel[None, None], np.zeros(4), np.outer([1, 0, 0, 0], [-1, 1]), np.zeros(2)])
    monkeypatch.setattr(logging, 'warning', lambda text, *values: found.append(text % values))
    helper = given(model, tmp_path, tmp_path / 'data')
    helper.warn_of_poor(model, {'accuracy': 0.5})
    assert len(found) == 1 and 'but on 100.0 % of 200 of them with --image_scale=' in found[0]
    helper.warn_of_poor(model, {'accuracy': 0.8})
    assert len(found) == 1
    monkeypatch.setattr(GivenAtFolder, '_accuracies', lambda self, model: (0.5, {'none': 0.55}))
    helper.warn_of_poor(model, {'accuracy': 0.5})
    assert 'hardly more than by chance' in found[1] and 'dark, light' in found[1]


def test_names():
    assert [name_of(given) for given in ('a/my net.keras', 'runs/x-1/', 'b.h5', 'v1.2.keras')] == [
        'my_net',
        'x-1',
        'b',
        'v1.2',
    ]


def photos(folder, count=40):
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (5, 5, 3)).astype(np.uint8)
        write_png(folder / f'{number}.png', pixels)
    return folder


def test_without_labels_each_batch_has_the_answers_of_the_network(tmp_path):
    model = keras.Sequential([layers.Input((4, 4, 3)), layers.Flatten(), layers.Dense(3, 'softmax')])
    helper = given(model, tmp_path, photos(tmp_path / 'photos'), labels='none', batch_size=8, batch_size_eval=5)
    assert isinstance(helper.task, SameClass) and helper.dataset.num_classes is None
    assert helper.dataset.facts() | {'labels': 'none', 'broken_images_left_out': 0} == helper.dataset.facts()
    images, labels = next(iter(helper.for_finetuning(1.0, batch_size=4).build_dataset_train()))
    np.testing.assert_allclose(tf.nn.softmax(labels), model(images), rtol=1e-4)
    assert labels.shape == (4, 3) and helper.dataset.label_spec == tf.TensorSpec([None, 3], tf.float32)
    numbers = np.arange(7)
    raw, normalised = (
        list(helper.dataset.ordered_batches('eval', numbers, normalised=value)) for value in (False, True)
    )
    for (pixels, answers), (inputs, same) in zip(raw, normalised, strict=True):
        np.testing.assert_allclose(pixels / 255, inputs, rtol=1e-5)
        np.testing.assert_array_equal(answers, same)
    form = helper.standard_form(model, 'file', '')
    assert form.head.function == 'softmax' and helper.evaluate(form.model)['agreement'] == 1
    other = helper.standard_form(keras.models.clone_model(model), 'file', '').model
    held_out = helper.build_dataset_train(enbl_trn_val_split=True)[1]
    outputs = [np.concatenate([net.predict(x, verbose=0) for x, _ in held_out]) for net in (form.model, other)]
    agreement = np.mean(np.argmax(outputs[0], 1) == np.argmax(outputs[1], 1))
    assert helper.evaluate(other, held_out)['agreement'] == pytest.approx(agreement)
    helper.check_loss(form.model)


def test_the_answers_are_those_of_the_network_that_the_run_began_with(tmp_path):
    first, second = (keras.Sequential([layers.Input((4, 4, 3)), layers.Flatten(), layers.Dense(2)]) for _ in range(2))
    save_model(first, tmp_path / 'first.keras')
    save_model(second, tmp_path / 'second.keras')
    file = GivenFile('second.keras', tmp_path / 'second.keras', original=tmp_path / 'first.keras')
    options = FolderOptions(data_dir_local=str(photos(tmp_path / 'photos', 8)), labels='none')
    helper = GivenAtFolder.of_options(GivenAtFolder.net_options_class(), options, 0, file)
    images, answers = next(iter(helper.build_dataset_eval()))
    np.testing.assert_allclose(answers, first(images), rtol=1e-5)


def test_several_outputs_without_labels(tmp_path):
    images = layers.Input((4, 4, 3))
    features = layers.GlobalAveragePooling2D()(images)
    outputs = [layers.Dense(3, 'softmax', name='kind')(features), layers.Dense(1, name='size')(features)]
    model = keras.Model(images, outputs)
    helper = given(model, tmp_path, photos(tmp_path / 'photos'), labels='none')
    metrics = helper.evaluate(helper.standard_form(model, 'file', '').model)
    assert (metrics['kind_agreement'], metrics['size_agreement']) == (1, 1) and metrics['size_difference'] < 1e-6
    with pytest.raises(UsageError, match='mine.keras: --task=regression: the network has 2 outputs'):
        GivenAtFolder.of_options(
            GivenAtFolder.net_options_class(task='regression'),
            FolderOptions(data_dir_local=str(tmp_path / 'photos'), labels='none'),
            0,
            GivenFile(str(tmp_path / 'mine.keras'), tmp_path / 'mine.keras'),
        )


def test_a_network_with_one_answer_for_all_is_told(tmp_path, monkeypatch):
    model, found = network(), []
    monkeypatch.setattr(logging, 'warning', lambda text, *values: found.append(text % values))
    model.layers[-1].bias.assign([0, 1e3])
    helper = given(model, tmp_path, photos(tmp_path / 'photos'), labels='none')
    helper.warn_of_poor(model, {'agreement': 1.0})
    assert len(found) == 1 and 'gives the class 1 to 8 of 8 images, so that the agreement says little' in found[0]
