"""The Python programs of docs/deploy.md run files of both kinds and give the answers of the network."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.datasets import cifar10_dataset
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.inputs import PixelInput
from tests.datasets.sources.conftest import write_png
from tests.docs.test_blocks import python_blocks, run

PAGE = 'docs/deploy.md'
SHAPE = (32, 32, 3)


def normalize(images: tf.Tensor) -> tf.Tensor:
    return (tf.cast(images, tf.float32) - cifar10_dataset.MEAN) / cifar10_dataset.STD


@pytest.fixture(scope='module')
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (8, *SHAPE)).astype(np.uint8)


def network(units: int, activation: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D(8)(keras.layers.Conv2D(4, 3)(inputs)))
    return keras.Model(inputs, keras.layers.Dense(units, activation)(x))


def program(name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What the program of the page prints that begins with `python NAME`."""
    (block,) = (block for block, _ in python_blocks(PAGE) if block.text.startswith(f'"""python {name}'))
    monkeypatch.setattr(sys, 'argv', [name, *arguments])
    return run(block, PAGE, {'__name__': '__main__'})


@pytest.mark.parametrize('file_format', ['float32', 'int8'])
@pytest.mark.parametrize(('units', 'activation'), [(10, 'softmax'), (1, 'sigmoid')])
def test_pixels_give_probabilities(file_format, units, activation, pixels, tmp_path: Path, monkeypatch):
    model = network(units, activation)
    (tmp_path / 'm.tflite').write_bytes(convert(model, file_format, pixels, PixelInput(normalize, tf.uint8, SHAPE)))
    write_png(tmp_path / 'p.png', pixels[0])
    printed = program('answer.py', [f'{tmp_path}/m.tflite', f'{tmp_path}/p.png'], monkeypatch)
    expected = np.asarray(model(normalize(pixels[:1])))[0]
    expected = np.array([1 - expected[0], expected[0]]) if units == 1 else expected
    best, percent = re.fullmatch(r'class (\d+) \((\d+\.\d) %\)\n', printed).groups()
    assert int(best) == expected.argmax()
    assert float(percent) == pytest.approx(100 * expected.max(), abs=0.1 if file_format == 'float32' else 3)


@pytest.mark.parametrize('file_format', ['float32', 'int8'])
def test_normalised_images(file_format, pixels, tmp_path: Path, monkeypatch):
    model = network(10, 'softmax')
    (tmp_path / 'm.tflite').write_bytes(convert(model, file_format, np.asarray(normalize(pixels))))
    write_png(tmp_path / 'p.png', pixels[0])
    printed = program('classify.py', [f'{tmp_path}/m.tflite', f'{tmp_path}/p.png', 'cifar10'], monkeypatch)
    expected = np.asarray(model(normalize(pixels[:1])))[0]
    best, value = re.fullmatch(r'class (\d+) \((.*)\)\n', printed).groups()
    assert int(best) == expected.argmax() and float(value) == pytest.approx(expected.max(), abs=0.03)


def test_every_program_of_the_page_resets_the_state_before_a_sample():
    """An LSTM would continue from the sample before."""
    text = Path(__file__).resolve().parents[2].joinpath(PAGE).read_text(encoding='utf-8')
    programs = [block for block in text.split('```')[1::2] if 'invoke()' in block or 'interpreter.run(' in block]
    assert len(programs) == 3
    for block in programs:
        reset = max(block.find('reset_all_variables()'), block.find('resetVariableTensors()'))
        assert 0 < reset < max(block.find('invoke()'), block.find('interpreter.run('))
