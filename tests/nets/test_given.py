from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras
from absl import logging

from pocketflow.datasets.folder_options import FolderOptions
from pocketflow.nets.abstract_model_helper import GivenFile
from pocketflow.nets.given import GivenAtFolder, name_of
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
