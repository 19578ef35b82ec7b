"""`.tflite` files of a model with plain values: written, checked and measured."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

import pocketflow
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export import tflite
from pocketflow.utils.export.formats import Source
from pocketflow.utils.export.latency import Timing
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.export.tflite import Measurement

layers = keras.layers


@pytest.fixture(scope='module')
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, activation='relu', name='conv1')(inputs)
    x = layers.Dense(16, activation='relu', name='hidden')(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(4, name='logits')(x), name='small')


def samples(shape: tuple[int, ...] = (8, 8, 1), count: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, *shape)).astype(np.float32)


def test_files_are_written_and_measured(model: keras.Model, tmp_path: Path):
    images = samples()
    names = ['no', 'yes', 'perhaps', 'never']
    paths = pocketflow.export_tflite(
        model, tmp_path / 'new', ['float32', 'int8'], images, labels=names, int8_io='float32'
    )
    for path in paths.values():
        with zipfile.ZipFile(path) as archive:
            assert archive.read('labels.txt').decode().split() == names
    assert LiteRtRunner(paths['int8']).output_dtype is np.float32
    assert paths == {name: tmp_path / 'new' / f'model_{name}.tflite' for name in ('float32', 'int8')}
    labels = (model(images, training=False).numpy().argmax(1) + 1) % 4
    once = Timing(rounds=1, warmup=0, settling=0, invocations_per_round=1)
    found = pocketflow.measure({**paths, 'keras': model}, images, labels, reference=model, timing=once)
    assert found['float32'].agreement == 1.0 and found['float32'].accuracy == 0.0
    assert found['float32'].num_bytes == paths['float32'].stat().st_size > found['int8'].num_bytes
    assert found['int8'].latency_ms > 0
    assert found['keras'] == Measurement(accuracy=0.0, agreement=1.0)


def test_weights_of_four_bits_become_a_file(model: keras.Model, tmp_path: Path):
    result = pocketflow.quantize(model, bits=4, symmetric=True)
    paths = pocketflow.export_tflite(result.model, tmp_path, ['float32', 'mixed'], encodings=result.encodings)
    assert paths['mixed'].stat().st_size < paths['float32'].stat().st_size


def test_a_file_that_computes_something_else_is_refused(
    model: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = keras.models.clone_model(model)
    other.set_weights([weights + 1 for weights in model.get_weights()])
    monkeypatch.setattr(tflite, 'Source', lambda model, *rest: Source(other, *rest))
    with pytest.raises(PocketFlowError, match='outputs differ from those of its model'):
        pocketflow.export_tflite(model, tmp_path, ['float32'])


# What is refused, each with one line.
