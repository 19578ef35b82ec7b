"""A network that Keras 3 has saved with its preprocessing and softmax: the exported files compute what it computes.

The files are run by plain LiteRT, without anything of this program.
"""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import keras as keras3  # noqa: TID251 (what users have)
import numpy as np
import pytest
import sklearn.datasets
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter

from pocketflow.utils.models.files import save_model
from tests.conftest import QUICK, run_main
from tests.datasets.sources.conftest import write_png

layers = keras3.layers
ROOT = Path(__file__).parents[1]
FORMATS = ('float32', 'float16', 'dynamic', 'int8')
DIGITS = sklearn.datasets.load_digits()
PIXELS = np.repeat((DIGITS.images * 15).astype(np.uint8)[..., None], 3, axis=3)
CHAIN = ('--learner=chn-pruned-rmt,uniform-tf', '--cpr_nb_smpls=60', '--nb_epochs_rat_ft=0.002')


def plain_outputs(path: Path, images: np.ndarray) -> np.ndarray:
    """What a file computes for one image after the other, float32 `[N, classes]`."""
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = []
    for image in images:
        values = image.astype(np.float32)
        if source['dtype'] == np.int8:
            scale, zero_point = source['quantization']
            values = np.clip(np.round(values / scale) + zero_point, -128, 127)
        interpreter.set_tensor(source['index'], values[np.newaxis].astype(source['dtype']))
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result['index'])[0].astype(np.float32))
    if result['dtype'] == np.int8:
        scale, zero_point = result['quantization']
        assert (scale, zero_point) == (1 / 256, -128)  # the only scale that LiteRT's softmax of int8 writes
        outputs = (np.array(outputs) - zero_point) * scale
    return np.array(outputs)


@pytest.fixture(scope='module')
def given(tmp_path_factory):
    """A folder with 200 handwritten digits as PNG files, and a network of Keras 3 that was trained on others."""
    folder = tmp_path_factory.mktemp('given')
    for number in range(200):
        write_png(folder / 'photos' / f'digit {DIGITS.target[number]}' / f'{number}.png', PIXELS[number])
    keras3.utils.set_random_seed(0)
    model = keras3.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.RandomFlip('vertical'),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(16, 3, padding='same', activation='relu'),
            layers.Conv2D(16, 3, strides=2, padding='same', activation='relu'),
            layers.Flatten(),
            layers.Dense(10, activation='softmax'),
        ]
    )
    model.compile('adam', 'sparse_categorical_crossentropy')
    model.fit(PIXELS[300:], DIGITS.target[300:], epochs=4, verbose=0)
    model.save(folder / 'mine.keras')
    return folder, model.predict(PIXELS[:20], verbose=0)


def command(folder: Path, *arguments: str) -> tuple[str, ...]:
    return ('--dataset=folder', f'--data_dir_local={folder}/photos', *QUICK, *arguments)


def pixel_outputs(path: Path, pixels: np.ndarray) -> np.ndarray:
    """As `plain_outputs`, of a file that takes uint8 pixels: they are handed over as they are."""
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = []
    for image in pixels:
        interpreter.set_tensor(source['index'], image[np.newaxis])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result['index'])[0].astype(np.float32))
    scale, zero_point = result['quantization']
    return (np.array(outputs) - zero_point) * (scale or 1)


def run(*arguments: str) -> None:
    outcome = run_main(*arguments)
    assert outcome.code == 0, outcome.err


def test_exported_files_give_the_probabilities_of_the_original(given, tmp_path):
    folder, expected = given
    formats = f'--export_formats={",".join((*FORMATS, "pfz"))}'
    run(*command(folder, '--exec_mode=export', formats, f'--save_path={folder}/mine.keras', f'--run_dir={tmp_path}/e'))
    differences = {
        name: np.abs(plain_outputs(tmp_path / f'e/model_{name}.tflite', PIXELS[:20]) - expected).max()
        for name in FORMATS
    }
    assert differences['float32'] <= 1e-5 and differences['float16'] < 0.01 and max(differences.values()) < 0.1
    report = json.loads((tmp_path / 'e/report.json').read_text())
    exports = {entry['format']: entry for entry in report['exports']}
    assert exports['float32']['max_abs_diff'] <= 1e-5 and exports['pfz']['max_abs_diff'] <= 1e-5
    assert exports['float32']['metrics']['accuracy'] > 0.7
    assert exports['float32']['operators'] == {
        'ADD': 1,
        'CONV_2D': 2,
        'FULLY_CONNECTED': 1,
        'MUL': 1,
        'RESHAPE': 1,
        'SOFTMAX': 1,
    }  # nothing of the random flips
    again = keras.models.load_model(tmp_path / 'e/model.keras', compile=False)
    np.testing.assert_allclose(again.predict(PIXELS[:20], verbose=0), expected, atol=1e-5)


def test_a_chain_and_later_exports_and_runs_keep_the_head(given, tmp_path, monkeypatch):
    folder, expected = given
    monkeypatch.chdir(tmp_path)
    shutil.copy(folder / 'mine.keras', 'mine.keras')
    run(*command(folder, *CHAIN, '--save_path=mine.keras', '--run_dir=one'))
    Path('mine.keras').unlink()
    before = plain_outputs(Path('one/baseline/model_float32.tflite'), PIXELS[:20])
    np.testing.assert_allclose(before, expected, atol=1e-5)
    compressed = plain_outputs(Path('one/model_int8.tflite'), PIXELS[:20])
    assert np.abs(compressed.sum(axis=1) - 1).max() < 0.03

    Path('one/report.json').unlink()  # an interrupted run, continued with the copy of its model
    run('--run_dir=one', '--flagfile=one/flags.txt')
    np.testing.assert_array_equal(plain_outputs(Path('one/model_int8.tflite'), PIXELS[:20]), compressed)
    run('--run_dir=one', '--exec_mode=export', '--export_head=logits')
    interpreter = Interpreter('one/model_int8.tflite')
    assert interpreter.get_output_details()[0]['quantization'] != (1 / 256, -128)
    run('--run_dir=one', '--exec_mode=export')
    assert Interpreter('one/model_int8.tflite').get_output_details()[0]['quantization'] != (1 / 256, -128)

    export = ('--exec_mode=export', '--export_formats=float32')
    for number, path in enumerate(('one/baseline/model.keras', 'one/1-chn-pruned-rmt/model.keras')):
        run(*command(folder, *export, f'--save_path={path}', f'--run_dir=from{number}'))
    np.testing.assert_allclose(plain_outputs(Path('from0/model_float32.tflite'), PIXELS[:20]), expected, atol=1e-5)
    pruned = plain_outputs(Path('from1/model_float32.tflite'), PIXELS[:20])
    np.testing.assert_allclose(pruned.sum(axis=1), 1, atol=1e-5)


def test_files_take_pixels(given, tmp_path):
    """Of a network without preprocessing, whose images are normalised by the pair: here by mean and deviation."""
    folder, _ = given
    inputs = keras.Input((8, 8, 3))
    keras.utils.set_random_seed(0)
    x = keras.layers.Conv2D(16, 3, padding='same', activation='relu')(inputs)
    x = keras.layers.Dense(10, activation='softmax')(keras.layers.GlobalMaxPooling2D()(x))
    model, mean, deviation = keras.Model(inputs, x), (100, 110, 120), (50, 60, 70)
    save_model(model, tmp_path / 'mine.keras')
    formats = f'--export_formats={",".join((*FORMATS, "pfz"))}'
    scale = ('--image_scale=none', '--image_mean=100,110,120', '--image_std=50,60,70')
    export = ('--exec_mode=export', f'--save_path={tmp_path}/mine.keras', *scale, '--export_input=uint8')
    run(*command(folder, *export, formats, f'--run_dir={tmp_path}/e'))
    expected = model.predict((PIXELS[:20] - np.float32(mean)) / np.float32(deviation), verbose=0)
    differences = {
        name: np.abs(pixel_outputs(tmp_path / f'e/model_{name}.tflite', PIXELS[:20]) - expected).max()
        for name in FORMATS
    }
    assert differences['float32'] <= 1e-5 and differences['float16'] < 0.01 and max(differences.values()) < 0.1
    report = json.loads((tmp_path / 'e/report.json').read_text())
    assert report['files'] == {'input': 'uint8', 'head': 'given', 'outputs': 'softmax'}
    exports = {entry['format']: entry for entry in report['exports']}
    assert exports['float32']['max_abs_diff'] <= 1e-5 and exports['pfz']['max_abs_diff'] <= 1e-5
    assert len({entry['metrics']['accuracy'] for entry in exports.values()} - {None}) <= 2
    assert 'int8' in exports and exports['int8']['operators']['DEPTHWISE_CONV_2D'] == 1

    run(f'--run_dir={tmp_path}/e', '--exec_mode=benchmark')

    run(*command(folder, *export, '--export_formats=float32', f'--run_dir={tmp_path}/f'))
    run(f'--run_dir={tmp_path}/f', '--exec_mode=export')
    np.testing.assert_allclose(pixel_outputs(tmp_path / 'f/model_float32.tflite', PIXELS[:20]), expected, atol=1e-5)
    run(f'--run_dir={tmp_path}/f', '--exec_mode=export', '--export_input=normalised', '--export_head=logits')
    assert Interpreter(f'{tmp_path}/f/model_float32.tflite').get_input_details()[0]['dtype'] == np.float32
    assert json.loads((tmp_path / 'f/report.json').read_text())['files']['outputs'] == 'logits'


@pytest.mark.usefixtures('own_folder')
def test_what_int8_cannot_normalise_is_refused_before_training(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (50, 28, 28)).astype(np.uint8)
    for split in ('train', 't10k'):
        write_idx(tmp_path / f'{split}-images-idx3-ubyte.gz', images)
        write_idx(tmp_path / f'{split}-labels-idx1-ubyte.gz', np.arange(50, dtype=np.uint8) % 10)
    arguments = (
        f'--data_dir_local={tmp_path}',
        '--nb_smpls_train=50',
        '--nb_smpls_eval=50',
        '--nb_smpls_val=10',
        '--batch_size=10',
    )
    outcome = run_main(
        f'--model_helper={ROOT}/examples/convnet_at_fmnist.py',
        *arguments,
        '--export_input=uint8',
        '--export_formats=float32,int8',
        f'--run_dir={tmp_path}/run',
    )
    assert outcome.code == 2 and outcome.err.splitlines()[-1].startswith(
        'error: --export_input=uint8: the images of fmnist are not normalised pixel by pixel with fixed numbers'
    )
    assert not (tmp_path / 'run').exists()


def write_idx(path: Path, values: np.ndarray) -> None:
    header = bytes([0, 0, 8, values.ndim]) + b''.join(size.to_bytes(4, 'big') for size in values.shape)
    path.write_bytes(gzip.compress(header + values.tobytes()))


def test_a_network_with_a_single_output_answers_yes_or_no(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    numbers = np.flatnonzero(np.isin(DIGITS.target, (3, 8)))
    pixels, is_eight = PIXELS[numbers], DIGITS.target[numbers] == 8
    for number, image, label in zip(numbers[:150], pixels[:150], is_eight[:150], strict=True):
        write_png(Path('photos') / ('eight' if label else 'a three') / f'{number}.png', image)
    keras3.utils.set_random_seed(0)
    model = keras3.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 3, padding='same', activation='relu'),
            layers.Conv2D(16, 3, strides=2, padding='same', activation='relu'),
            layers.Flatten(),
            layers.Dense(1, activation='sigmoid'),
        ]
    )
    model.compile(keras3.optimizers.Adam(3e-3), 'binary_crossentropy')
    model.fit(pixels[150:], is_eight[150:].astype(np.float32), epochs=20, verbose=0)
    model.save('mine.keras')
    expected = model.predict(pixels[:40], verbose=0)
    assert np.mean((expected[:, 0] > 0.5) == is_eight[:40]) > 0.9

    run(*command(Path(), *CHAIN, '--save_path=mine.keras', '--run_dir=one'))
    before = plain_outputs(Path('one/baseline/model_float32.tflite'), pixels[:40])
    np.testing.assert_allclose(before, expected, atol=1e-5)
    report = json.loads(Path('one/report.json').read_text())
    assert report['baseline']['metrics']['accuracy'] > 0.9 and report['baseline']['file_metrics']['accuracy'] > 0.9
    assert report['files']['outputs'] == 'sigmoid'
    assert plain_outputs(Path('one/model_int8.tflite'), pixels[:40]).shape == (40, 1)
    whole = keras.models.load_model('one/baseline/model.keras', compile=False)
    np.testing.assert_allclose(whole.predict(pixels[:40], verbose=0), expected, atol=1e-5)
    run(*command(Path(), '--exec_mode=export', '--export_formats=float32', '--save_path=one/baseline', '--run_dir=two'))
    np.testing.assert_allclose(plain_outputs(Path('two/model_float32.tflite'), pixels[:40]), expected, atol=1e-5)
