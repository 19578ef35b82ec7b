"""Transfer learning from the command line: a network of other classes, and a folder of images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import tf_keras as keras

from pocketflow.utils.models.files import load_model, save_model
from tests.conftest import PACKED, run_main
from tests.datasets.sources.conftest import write_png

layers = keras.layers
RUN = ('--dataset=folder', '--learner=full-prec', '--enbl_warm_start', '--nb_epochs_rat=0.04', '--lrn_rate_init=0.2')


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """150 images of three digits, and a network that was trained on ten classes of other digits."""
    folder = tmp_path_factory.mktemp('transfer')
    digits = sklearn.datasets.load_digits()
    pixels = np.repeat((digits.images * 15).astype(np.uint8)[..., None], 3, axis=3)
    for number in [number for number in range(500) if digits.target[number] in (1, 4, 7)][:150]:
        write_png(folder / 'photos' / f'digit {digits.target[number]}' / f'{number}.png', pixels[number])
    keras.utils.set_random_seed(0)
    inputs = layers.Input((8, 8, 3))
    outputs = layers.Conv2D(16, 3, padding='same', use_bias=False, name='conv')(inputs)
    outputs = layers.ReLU(name='relu')(layers.BatchNormalization(name='bn')(outputs))
    outputs = layers.Flatten(name='flat')(layers.MaxPooling2D(name='pool')(outputs))
    model = keras.Model(inputs, layers.Dense(10, activation='sigmoid', name='last')(outputs))
    model.compile(keras.optimizers.Adam(3e-3), 'sparse_categorical_crossentropy')
    model.fit(pixels[500:] / 255, digits.target[500:], epochs=3, verbose=0)
    save_model(model, folder / 'model.keras')
    return folder


def test_a_network_learns_other_classes_and_its_frozen_layers_stay(folder, tmp_path):
    command = (f'--save_path={folder / "model.keras"}', f'--data_dir_local={folder / "photos"}', *RUN, PACKED)
    run = tmp_path / 'run'
    outcome = run_main(*command, f'--run_dir={run}', '--freeze=backbone', '--augment=none')
    assert outcome.code == 0, outcome.err
    assert "its last layer, 'last', is replaced by a new one, untrained, with 3 outputs instead of 10" in outcome.err
    assert 'kept what the frozen layers compute of 120 training images' in outcome.err
    report = json.loads((run / 'report.json').read_text())
    assert report['compressed']['metrics']['accuracy'] > 0.9 and report['verdict'] is None
    trained, given = load_model(run / 'model.keras'), load_model(folder / 'model.keras')
    assert trained.output_shape == (None, 3) and all(layer.trainable for layer in trained.layers)
    np.testing.assert_allclose(trained(np.zeros((1, 8, 8, 3))).numpy().sum(), 1, atol=1e-6)  # a softmax
    for name in ('conv', 'bn'):
        for one, other in zip(trained.get_layer(name).get_weights(), given.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    again = run_main('--exec_mode=eval', f'--run_dir={run}')
    assert again.code == 0, again.err
    assert f'accuracy {report["compressed"]["metrics"]["accuracy"]:.4g}' in again.last_line


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--freeze=conv9'], "--freeze=conv9: --save_path=model.keras: has no layer 'conv9'; its layers"),
        (['--enbl_dst'], '--enbl_dst: the teacher would be --save_path=model.keras, whose last layer (last) is new'),
        (['--learner=uniform-tf', '--noenbl_warm_start'], 'has 10 outputs, but'),
        (['--noenbl_warm_start', '--freeze=backbone'], '--freeze'),
    ],
)
def test_what_does_not_fit_is_refused_before_training(folder, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(folder)
    given = ('--save_path=model.keras', '--data_dir_local=photos', f'--run_dir={tmp_path / "run"}')
    outcome = run_main(*given, *RUN, *flags)
    assert outcome.code == 2 and message in outcome.err.splitlines()[-1]
    assert not (tmp_path / 'run' / 'flags.txt').exists()
