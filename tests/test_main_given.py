"""A trained network and images of any kind, from the command line: nothing has to be written."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import sklearn.datasets
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.models.files import save_model
from tests.conftest import ONE_FILE, PACKED, QUICK, run_main
from tests.datasets.sources.conftest import example, write_numbered, write_png, write_records

layers = keras.layers
RUN = ('--dataset=folder', '--learner=chn-pruned-rmt', '--cpr_nb_smpls=60', '--nb_epochs_rat_ft=0.005')


@pytest.fixture(scope='module')
def given(tmp_path_factory):
    """300 handwritten digits as PNG files, arrays and records, and a small network that was trained on others."""
    folder = tmp_path_factory.mktemp('given')
    digits = sklearn.datasets.load_digits()
    pixels = np.repeat((digits.images * 15).astype(np.uint8)[..., None], 3, axis=3)
    for number in range(300):
        write_png(folder / 'photos' / f'digit {digits.target[number]}' / f'{number}.png', pixels[number])
    np.savez(folder / 'digits.npz', x=pixels[:300], y=digits.target[:300])
    samples = zip(pixels[:300], digits.target[:300].tolist(), strict=True)
    encoded = [example(image=tf.io.encode_png(image).numpy(), label=label) for image, label in samples]
    (folder / 'records').mkdir()
    write_records(folder / 'records/a.tfrecord', encoded)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(16, 3, padding='same', activation='relu'),
            layers.Conv2D(16, 3, strides=2, padding='same', activation='relu'),
            layers.Flatten(),
            layers.Dense(10, activation='softmax'),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), 'sparse_categorical_crossentropy')
    model.fit(pixels[300:] / 255, digits.target[300:], epochs=6, verbose=0)
    save_model(model, folder / 'my model.keras')
    return folder


def test_a_network_and_a_folder_are_all_that_is_needed(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(given / 'my model.keras', 'my model.keras')
    shutil.copytree(given / 'photos', 'photos')
    (tmp_path / 'photos/digit 3/broken.jpg').write_bytes(b'')
    command = ('--save_path=my model.keras', '--data_dir_local=photos', *RUN, *QUICK, ONE_FILE, '--skip_bad_images')
    outcome = run_main(*command)
    assert outcome.code == 0, outcome.err
    (run,) = (tmp_path / 'runs/given_at_folder').iterdir()
    report = json.loads((run / 'report.json').read_text())
    assert (report['model'], report['dataset']) == ('my_model', 'folder')
    assert report['data'] == {
        'classes': [f'digit {number}' for number in range(10)],
        'training_images': 240,
        'evaluation_images': 60,
        'broken_images_left_out': 1,
    }
    assert report['verdict']['smaller'] and report['baseline']['metrics']['accuracy'] > 0.8
    assert outcome.last_line.startswith('verdict: smaller (')
    (tmp_path / 'my model.keras').unlink()
    again = run_main('--exec_mode=eval', f'--run_dir={run}')
    assert again.code == 0, again.err
    assert again.last_line.startswith('my_model at folder: loss ')
    assert f'accuracy {report["compressed"]["metrics"]["accuracy"]:.4g}' in again.last_line


@pytest.mark.parametrize(('dataset', 'where'), [('npz', 'digits.npz'), ('tfrecord', 'records')])
def test_arrays_and_records_work_the_same_way(given, tmp_path, monkeypatch, dataset, where):
    monkeypatch.chdir(tmp_path)
    command = (f'--save_path={given}/my model.keras', f'--dataset={dataset}', f'--data_dir_local={given / where}')
    outcome = run_main(*command, *RUN[1:], *QUICK, PACKED, '--run_dir=run')
    assert outcome.code == 0, outcome.err
    report = json.loads((tmp_path / 'run/report.json').read_text())
    assert report['dataset'] == dataset and report['baseline']['metrics']['accuracy'] > 0.8
    assert report['data'] == {'training_images': 240, 'evaluation_images': 60, 'broken_images_left_out': 0}
    assert (tmp_path / 'run/records').is_dir() == (dataset == 'tfrecord')
    again = run_main('--exec_mode=eval', '--run_dir=run')
    assert again.code == 0, again.err
    assert f'accuracy {report["compressed"]["metrics"]["accuracy"]:.4g}' in again.last_line


@pytest.mark.parametrize('task', ['regression', 'multi-label'])
def test_other_tasks_on_arrays(given, tmp_path, monkeypatch, task):
    monkeypatch.chdir(tmp_path)
    with np.load(given / 'digits.npz') as arrays:
        pixels, digits = arrays['x'], arrays['y']
    labels = pixels.mean(axis=(1, 2, 3)) / 255 if task == 'regression' else np.stack([digits % 2, digits > 4], axis=1)
    np.savez('mine.npz', x=pixels, y=labels)
    images = layers.Input((8, 8, 3))
    maps = layers.Conv2D(8, 3, activation='relu')(layers.Conv2D(8, 3, activation='relu')(images))
    last = layers.Dense(1) if task == 'regression' else layers.Dense(2, 'sigmoid')
    save_model(keras.Model(images, last(layers.Flatten()(maps))), 'm.keras')
    command = ('--save_path=m.keras', '--dataset=npz', '--data_dir_local=mine.npz', f'--task={task}')
    outcome = run_main(*command, *RUN[1:], *QUICK, PACKED, '--run_dir=run')
    assert outcome.code == 0, outcome.err
    report = json.loads((tmp_path / 'run/report.json').read_text())
    assert report['task']['name'] == task and report['verdict']['smaller']
    metric = report['task']['primary']
    assert f'{metric["label"]} ' in outcome.last_line and 'accuracy' not in outcome.out
    refused = run_main(*command[:3], *RUN[1:], '--run_dir=other')
    assert refused.code == 2 and refused.err.splitlines()[-1].startswith('error: npz, all samples (the network has ')


BAD = {
    'a folder has classes': (['--save_path=m.keras', '--task=regression'], '--task=regression: a folder of images has'),
    'no network': ([], '--save_path is missing: with --dataset=folder it names the trained network'),
    'no folder': (
        ['--save_path=m.keras', '--data_dir_local='],
        '--data_dir_local is missing; name the folder of the images',
    ),
    'no such folder': (['--save_path=m.keras', '--data_dir_local=nowhere'], 'nowhere: there is no such folder'),
    'no classes': (['--save_path=m.keras', '--data_dir_local=two/a'], 'two/a: holds images, but no folders'),
    'training anew': (['--save_path=m.keras', '--enbl_warm_start'], 'needs --learner=full-prec and --save_path'),
    'flags of other scales': (['--save_path=m.keras', '--image_mean=x'], '--image_mean=x: must be one number'),
    'other classes': (
        ['--save_path=m.keras', '--batch_size=4'],
        'm.keras: has 10 outputs, but two has images of 2 classes (a, b);',
    ),
    'a broken image': (['--save_path=m.keras', '--data_dir_local=bad'], 'bad/b/x.jpg: no image of a known format;'),
    'no size': (['--save_path=m.keras', '--image_size=9,9'], '--image_size=9,9: m.keras takes images of 8 x 8 pixels'),
}


@pytest.mark.parametrize('name', BAD)
def test_what_is_wrong_is_told_in_one_line(name, given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(given / 'my model.keras', 'm.keras')
    write_numbered(tmp_path / 'two', {'a': 5, 'b': 5})
    write_numbered(tmp_path / 'bad', {'a': 5, 'b': 5})
    (tmp_path / 'bad/b/x.jpg').write_text('no image')
    arguments, message = BAD[name]
    outcome = run_main('--data_dir_local=two', *RUN, *arguments)
    assert outcome.code == 2
    error = outcome.err.splitlines()[-1]
    assert error.startswith('error: ') and message in error
    assert not (tmp_path / 'runs').exists()


def test_an_image_that_breaks_unchecked_is_named(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(given / 'photos', 'photos')
    for file in (tmp_path / 'photos/digit 3').glob('*.png'):
        file.write_bytes(file.read_bytes()[:-20])
    outcome = run_main(
        f'--save_path={given}/my model.keras',
        '--data_dir_local=photos',
        '--noenbl_check_images',
        '--exec_mode=eval',
        *RUN[:1],
    )
    assert outcome.code == 2
    error = outcome.err.splitlines()[-1]
    assert error.startswith('error: photos/digit 3/') and 'cannot be decoded: damaged, or cut off; repair' in error


def test_help_knows_the_flags_of_the_folder():
    assert '--image_scale' in run_main('--helpfull', '--dataset=folder').out
    assert '--save_path=MODEL.keras --dataset=npz --data_dir_local=IMAGES' in run_main('--help').out
