"""The report's entries on models and files."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from learners import exporting
from learners.exporting import Candidate, Exporter
from tests.learners.conftest import make_helper
from utils.cost_model import total_macs
from utils.errors import UsageError
from utils.export import measure
from utils.export.agreement import agreement
from utils.export.options import ExportOptions
from utils.export.runner import LiteRtRunner

QUICK = {'num_eval': 30, 'num_calibration': 7, 'rounds': 5, 'warmup': 0}
METRICS = {'loss': 2.0, 'accuracy': 0.5}


def candidate(folder) -> Candidate:
    return Candidate(make_helper().build_model(), folder, METRICS)


def exporter(root) -> Exporter:
    return Exporter(make_helper(), ExportOptions(**QUICK), root)


def test_two_models_are_compared_in_the_first_format(tmp_path):
    before, after = candidate(tmp_path / 'baseline'), candidate(tmp_path)
    result = exporter(tmp_path).export(before, after, ['float16', 'float32'])
    assert result.keys() == {'baseline', 'compressed', 'exports'}
    assert [(item['format'], item['path']) for item in result['exports']] == [
        ('float16', 'model_float16.tflite'), ('float32', 'model_float32.tflite')]
    assert [path.name for path in (tmp_path / 'baseline').glob('*.tflite')] == ['model_float16.tflite']
    for entry, folder in ((result['baseline'], tmp_path / 'baseline'), (result['compressed'], tmp_path)):
        assert entry['metrics'] == METRICS
        assert entry['macs'] == total_macs(before.model) and entry['parameters'] == before.model.count_params()
        assert entry['file_bytes'] == (folder / 'model_float16.tflite').stat().st_size
        assert entry['keras_bytes'] == (folder / 'model.keras').stat().st_size
    assert result['compressed']['latency_ms'] == result['exports'][0]['latency_ms']
    assert result['exports'][0]['speedup_vs_uncompressed'] == pytest.approx(
        result['baseline']['latency_ms']['p50'] / result['compressed']['latency_ms']['p50'])


def test_the_uncompressed_model_is_compared_in_the_format_asked_for(tmp_path):
    result = exporter(tmp_path).export(candidate(tmp_path / 'baseline'), candidate(tmp_path), ['pfz', 'float16'],
                                       'float32')
    before, after = result['baseline'], result['compressed']
    assert before['file'] == before['timed_file'] == 'baseline/model_float32.tflite'
    assert (after['file'], after['timed_file']) == ('model.pfz', 'model_float16.tflite')
    assert after['file_bytes'] == (tmp_path / 'model.pfz').stat().st_size
    assert after['latency_ms'] == result['exports'][1]['latency_ms'] and result['exports'][0]['latency_ms'] is None
    assert [item['size_ratio'] for item in result['exports']] == [
        pytest.approx(before['file_bytes'] / item['bytes'], abs=1e-4) for item in result['exports']]


def test_one_model_is_exported_once(tmp_path):
    only = candidate(tmp_path)
    result = exporter(tmp_path).export(only, only, ['float32'])
    assert result['baseline'] == result['compressed']
    assert [path.name for path in tmp_path.rglob('*.tflite')] == ['model_float32.tflite']
    assert result['exports'][0]['speedup_vs_uncompressed'] == 1


def test_accuracy_is_that_of_the_file_on_the_wanted_samples(tmp_path):
    only = candidate(tmp_path)
    helper = make_helper()
    result = exporter(tmp_path).export(only, only, ['float32'])
    images, labels = next(iter(helper.build_dataset_eval().as_numpy_iterator()))
    logits = LiteRtRunner(tmp_path / 'model_float32.tflite').predict(images[:QUICK['num_eval']])
    assert result['compressed']['file_accuracy'] == np.mean(logits.argmax(-1) == labels[:QUICK['num_eval']])


def test_calibration_uses_training_images(tmp_path, monkeypatch):
    seen = []

    def export_files(source, formats, folder):
        seen.append(source.calibration)
        return original(source, formats, folder)

    original = exporting.export_files
    monkeypatch.setattr(exporting, 'export_files', export_files)
    only = candidate(tmp_path)
    exporter(tmp_path).export(only, only, ['int8'])
    assert [images.shape for images in seen] == [(QUICK['num_calibration'], 8, 8, 1)]
    np.testing.assert_array_equal(seen[0], make_helper().training_images(QUICK['num_calibration']))


def test_what_the_macs_leave_out_is_in_the_entry(tmp_path):
    inputs = keras.Input((3, 3))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: tf.linalg.inv(x), name='inverse')(inputs))
    (tmp_path / 'model.keras').write_bytes(b'x')
    same = agreement(np.eye(2), np.eye(2), np.arange(2))
    records = [measure.ExportRecord('float32', 'm', 1, 1, same, None, None, 1.0, None, {})]
    entry = Candidate(model, tmp_path, METRICS).entry(records)
    assert entry['macs_not_counted'] == {'inverse': ['MatrixInverse']} and entry['macs'] == 0
    assert entry['speedup_interval'] is None and entry['timed_file'] is None


@pytest.mark.parametrize(('load', 'warns'), [(2.0, False), (13.9, True)])
def test_a_busy_machine_is_warned_of(monkeypatch, load, warns):
    said = []
    monkeypatch.setattr(exporting, 'nb_usable_threads', lambda: 2)
    monkeypatch.setattr(exporting.os, 'getloadavg', lambda: (load, 1.0, 1.0))
    monkeypatch.setattr(exporting.logging, 'warning', lambda *words: said.append(words[0] % words[1:]))
    exporting.warn_if_busy()
    assert said == ['the machine is busy (load average 13.9, 2 cores): latencies on all threads may mislead'] * warns


def test_formats_are_checked_and_each_taken_once():
    assert ExportOptions(formats='int8, float32,int8').names == ('int8', 'float32')
    with pytest.raises(UsageError, match="'int9'; known: dynamic, float16, float32, int8, mixed, pfz"):
        ExportOptions(formats='float32,int9')
