"""`--labels=none`: a trained network and images, nothing else; reports give the agreement with the network."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from tests.conftest import ONE_FILE, QUICK, run_main
from tests.datasets.sources.conftest import encoded

layers = keras.layers
NETWORK = ('--save_path=net.keras', '--dataset=folder', '--data_dir_local=photos', '--labels=none')
LEARNER = ('--learner=chn-pruned-rmt', '--cpr_nb_smpls=20', '--nb_epochs_rat_ft=0.005', '--batch_size=16')


@pytest.fixture(scope='module')
def given(tmp_path_factory):
    """A flat folder of 60 JPEGs, and a network with a softmax."""
    folder, rng = tmp_path_factory.mktemp('without_labels'), np.random.default_rng(0)
    (folder / 'photos').mkdir()
    for number in range(60):
        pixels = np.clip(rng.normal(rng.uniform(60, 190, 3), 60, (8, 8, 3)), 0, 255).astype(np.uint8)
        (folder / f'photos/IMG {number}.jpg').write_bytes(encoded(Image.fromarray(pixels), 'JPEG'))
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(8, 3, strides=2, activation='relu'),
            layers.Conv2D(8, 2, activation='relu'),
            layers.Flatten(),
            layers.Dense(4, 'softmax'),
        ]
    )
    model.layers[-1].kernel.assign(10 * model.layers[-1].kernel)
    model.save(folder / 'net.keras')
    return folder


@pytest.fixture(scope='module')
def run(given):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(given)
        outcome = run_main(*NETWORK, *LEARNER, *QUICK, ONE_FILE, '--run_dir=run', '--enbl_dst')
    assert outcome.code == 0, outcome.err
    return outcome


def predictions(path, images):
    """Outputs of a `.tflite` file, by plain LiteRT."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for image in images:
        interpreter.set_tensor(source['index'], image[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(target['index'])[0])
    return np.array(found)


def test_the_report_gives_the_agreement_of_the_exported_file_with_the_original(given, run):
    """Which images are for evaluation depends on their names: those that have answers like the file's are counted."""
    report = json.loads((given / 'run/report.json').read_text())
    (entry,) = report['exports']
    assert report['task']['primary']['label'] == 'agreement with the original'
    assert report['data'] == {
        'labels': 'none',
        'training_images': 48,
        'evaluation_images': 12,
        'broken_images_left_out': 0,
    }
    images, names = [], sorted((given / 'photos').iterdir())
    for name in names:
        images.append(tf.cast(tf.io.decode_jpeg(name.read_bytes(), 3), tf.float32).numpy() / 255)
    original = keras.models.load_model(given / 'net.keras', compile=False)
    same = np.argmax(original.predict(np.array(images), verbose=0), 1) == np.argmax(
        predictions(given / 'run' / entry['path'], images), 1
    )
    assert entry['metrics']['agreement'] == pytest.approx(same[evaluated(names)].mean())
    assert report['compressed']['file_metrics'] == entry['metrics'] and report['baseline']['file_metrics'] == {
        'agreement': 1.0
    }


def evaluated(names) -> np.ndarray:
    """Which images are kept for evaluation, by their names."""
    from pocketflow.datasets.sources.index import SPLIT_SALT
    from pocketflow.datasets.sources.order import stratified_shares

    coded = tuple(name.name.encode() for name in names)
    return stratified_shares(coded, np.zeros(len(coded), np.int32), SPLIT_SALT) < 0.2


def test_the_report_says_that_there_were_no_labels(given, run):
    said = 'No labels were used: the agreement with the original is the share of images for which'
    assert said in run.out and said in (given / 'run/report.html').read_text()
    assert 'agreement with the original ' in run.last_line and 'accuracy' not in run.out


def test_other_modes_of_the_run(given, run, monkeypatch):
    monkeypatch.chdir(given)
    report = json.loads((given / 'run/report.json').read_text())
    (given / 'net.keras').rename('gone.keras')
    try:
        evaluation = run_main('--exec_mode=eval', '--run_dir=run')
        assert evaluation.code == 0, evaluation.err
        assert f'agreement {report["compressed"]["metrics"]["agreement"]:.4g}' in evaluation.last_line
        other = run_main('--exec_mode=eval', '--run_dir=run', '--save_path=gone.keras')
        assert other.code == 0 and 'agreement 1' in other.last_line, other.err
    finally:
        (given / 'gone.keras').rename('net.keras')
    checked = run_main(*NETWORK, *LEARNER, *QUICK, ONE_FILE, '--exec_mode=check', '--run_dir=checked')
    assert checked.code == 0 and 'the run can start' in checked.out, checked.err
    assert 'labels: none.' in (given / 'checked/check.html').read_text()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((*NETWORK, '--learner=full-prec'), '--labels=none: --learner=full-prec trains the network on labels; choose'),
        ((*NETWORK, '--exec_mode=eval'), '--labels=none: --exec_mode=eval would compare the network with itself; give'),
        ((*NETWORK, *LEARNER, '--max_accuracy_drop=0.1'), 'the metric of this task is agreement with the original;'),
        (
            (*NETWORK, *LEARNER, '--task=multi-label'),
            '--save_path=net.keras: --task=multi-label: the network ends with',
        ),
        (
            ('--save_path=net.keras', '--dataset=npz', '--labels=none', '--npz_y_train=y', *LEARNER),
            'no effect with --la',
        ),
        (
            ('--model=lenet', '--dataset=digits', '--labels=none'),
            '--labels=none: for a trained network and images with',
        ),
        ((*NETWORK[:3], '--labels=some'), '--labels=some: must be one of none'),
    ],
)
def test_what_contradicts_it_is_told_in_one_line(given, monkeypatch, arguments, message):
    monkeypatch.chdir(given)
    outcome = run_main(*arguments)
    assert outcome.code == 2 and message in outcome.err.splitlines()[-1], outcome.err
