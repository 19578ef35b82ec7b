"""The report's entries on models and files."""

from __future__ import annotations

import contextlib
import errno

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.program import exporting
from pocketflow.learners.program.exporting import Candidate, Exporter, refuse_failed_exports
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.export import measure
from pocketflow.utils.export.agreement import agreement
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.options import ExportOptions
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.graph import Head
from pocketflow.utils.models.files import load_model
from tests.learners.conftest import make_helper

QUICK = {'num_eval': 30, 'num_calibration': 7, 'rounds': 5, 'warmup': 0}
METRICS = {'loss': 2.0, 'accuracy': 0.5}


def candidate(folder) -> Candidate:
    return Candidate(make_helper().build_model(), folder, METRICS)


def exporter(root) -> Exporter:
    return Exporter(make_helper(), ExportOptions(**QUICK), root)


def test_two_models_are_compared_in_the_first_format(tmp_path):
    before, after = candidate(tmp_path / 'baseline'), candidate(tmp_path)
    result = exporter(tmp_path).export(before, after, ['float16', 'float32'])
    assert result.keys() == {'baseline', 'compressed', 'exports', 'files'}
    assert [(item['format'], item['path']) for item in result['exports']] == [
        ('float16', 'model_float16.tflite'),
        ('float32', 'model_float32.tflite'),
    ]
    assert [path.name for path in (tmp_path / 'baseline').glob('*.tflite')] == ['model_float16.tflite']
    for entry, folder in ((result['baseline'], tmp_path / 'baseline'), (result['compressed'], tmp_path)):
        assert entry['metrics'] == METRICS
        assert entry['macs'] == total_macs(before.model) and entry['parameters'] == before.model.count_params()
        assert entry['file_bytes'] == (folder / 'model_float16.tflite').stat().st_size
        assert entry['keras_bytes'] == (folder / 'model.keras').stat().st_size
    assert result['compressed']['latency_ms'] == result['exports'][0]['latency_ms']
    assert result['exports'][0]['speedup_vs_uncompressed'] == pytest.approx(
        result['baseline']['latency_ms']['p50'] / result['compressed']['latency_ms']['p50']
    )


def test_the_uncompressed_model_is_compared_in_the_format_asked_for(tmp_path):
    result = exporter(tmp_path).export(
        candidate(tmp_path / 'baseline'), candidate(tmp_path), ['pfz', 'float16'], 'float32'
    )
    before, after = result['baseline'], result['compressed']
    assert before['file'] == before['timed_file'] == 'baseline/model_float32.tflite'
    assert (after['file'], after['timed_file']) == ('model.pfz', 'model_float16.tflite')
    assert after['file_bytes'] == (tmp_path / 'model.pfz').stat().st_size
    assert after['latency_ms'] == result['exports'][1]['latency_ms'] and result['exports'][0]['latency_ms'] is None
    assert [item['size_ratio'] for item in result['exports']] == [
        pytest.approx(before['file_bytes'] / item['bytes'], abs=1e-4) for item in result['exports']
    ]


def test_one_model_is_exported_once(tmp_path):
    only = candidate(tmp_path)
    result = exporter(tmp_path).export(only, only, ['float32'])
    assert result['baseline'] == result['compressed']
    assert [path.name for path in tmp_path.rglob('*.tflite')] == ['model_float32.tflite']
    assert result['exports'][0]['speedup_vs_uncompressed'] == 1


def test_containers_need_no_converter(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, 'conversion_process', lambda: pytest.fail('a process was started'))
    result = exporter(tmp_path).export(candidate(tmp_path / 'baseline'), candidate(tmp_path), ['pfz'])
    assert (result['baseline']['file'], result['compressed']['file']) == ('baseline/model.pfz', 'model.pfz')
    assert result['exports'][0]['max_abs_diff'] == 0 and result['compressed']['timed_file'] is None


def test_accuracy_is_that_of_the_file_on_the_wanted_samples(tmp_path):
    only = candidate(tmp_path)
    helper = make_helper()
    result = exporter(tmp_path).export(only, only, ['float32'])
    images, labels = next(iter(helper.build_dataset_eval().as_numpy_iterator()))
    logits = LiteRtRunner(tmp_path / 'model_float32.tflite').predict(images[: QUICK['num_eval']])
    assert result['compressed']['file_metrics']['accuracy'] == np.mean(logits.argmax(-1) == labels[: QUICK['num_eval']])


def test_files_take_pixels_and_give_probabilities_if_asked_to(tmp_path):
    helper = make_helper()
    only = Candidate(helper.build_model(), tmp_path, METRICS, head=Head('softmax', 'logits'))
    options = ExportOptions(**QUICK, input='uint8')
    result = Exporter(helper, options, tmp_path).export(only, only, ['float32', 'pfz'])
    assert result['files'] == {'input': 'uint8', 'head': 'given', 'outputs': 'softmax'}
    pixels = helper.dataset.source('eval').images[: QUICK['num_eval']]
    expected = tf.nn.softmax(only.model(helper.dataset.normalize(pixels)))
    outputs = LiteRtRunner(tmp_path / 'model_float32.tflite').predict(pixels)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    labels = helper.dataset.source('eval').labels[: QUICK['num_eval']]
    accuracy = np.mean(outputs.argmax(-1) == labels)
    assert [item['metrics']['accuracy'] for item in result['exports']] == [accuracy, accuracy]
    np.testing.assert_allclose(load_model(only.keras_path)(helper.dataset.normalize(pixels)), expected, atol=1e-5)


def test_what_is_not_asked_for_again_stays():
    assert ExportOptions().as_before({}) == ExportOptions(head='given', input='normalised', int8_io='int8')
    former = {'head': 'logits', 'input': 'uint8', 'int8_io': 'float32', 'outputs': 'logits'}
    assert ExportOptions(head='given').as_before(former) == ExportOptions(
        head='given', input='uint8', int8_io='float32'
    )


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
    monkeypatch.setattr(exporting, 'num_usable_threads', lambda: 2)
    monkeypatch.setattr(exporting.os, 'getloadavg', lambda: (load, 1.0, 1.0))
    monkeypatch.setattr(exporting.logging, 'warning', lambda *words: said.append(words[0] % words[1:]))
    exporting.warn_if_busy()
    assert said == ['the machine is busy (load average 13.9, 2 cores): latencies on all threads are unreliable'] * warns


class Failing:
    """Conversions that fail for some formats, as if the converter had crashed."""

    def __init__(self, *names: str):
        self._names = names

    @contextlib.contextmanager
    def __call__(self, folder, samples, settings):
        yield self

    def convert(self, model, file_format, calibration, pixels):
        if file_format in self._names:
            raise PocketFlowError(f'{file_format} crashed')
        return convert(model, file_format, calibration, pixels)

    def try_out(self, file_format, content):
        assert content

    def predict(self, path, inputs, batch_size):
        return measure.run_here(path, inputs, batch_size)


@pytest.mark.parametrize(
    ('names', 'given', 'required'),
    [(['int8'], None, False), (['int8'], 'float32,int8', True), (['float32'], None, True)],
)
def test_a_format_that_fails_costs_no_other(names, given, required, tmp_path):
    one = Exporter(make_helper(), ExportOptions(**QUICK, formats=given), tmp_path, Failing(*names))
    formats = ['float32', 'int8', 'dynamic']
    result = one.export(candidate(tmp_path / 'baseline'), candidate(tmp_path), formats)
    made = [name for name in formats if name not in names]
    assert [item['format'] for item in result['exports']] == made
    assert result['compressed']['file'] == f'model_{made[0]}.tflite'
    assert result['baseline']['file'] == f'baseline/model_{made[0]}.tflite'
    assert result['failed_exports'] == [
        {'format': name, 'reason': f'{name} crashed', 'required': required} for name in names
    ]
    if required:
        with pytest.raises(PocketFlowError, match=f'not exported: {names[0]}: {names[0]} crashed'):
            refuse_failed_exports(result['failed_exports'])
    else:
        refuse_failed_exports(result['failed_exports'])


def test_a_file_that_fails_when_it_is_measured_costs_no_other(tmp_path, monkeypatch):
    def agreement_of_file(file, run):
        if file.file_format == 'int8':
            raise PocketFlowError('not finite')
        return original(file, run=run)

    original = exporting.check_file
    monkeypatch.setattr(exporting, 'check_file', agreement_of_file)
    one = Exporter(make_helper(), ExportOptions(**QUICK), tmp_path, Failing())
    result = one.export(candidate(tmp_path / 'baseline'), candidate(tmp_path), ['float32', 'int8'])
    assert [item['format'] for item in result['exports']] == ['float32']
    assert result['failed_exports'] == [{'format': 'int8', 'reason': 'not finite', 'required': False}]


def test_an_uncompressed_file_that_fails_gives_way_to_the_next_format(tmp_path):
    class FailingBefore(Failing):
        def __call__(self, folder, samples, settings):
            self._is_before = folder.name == 'baseline'
            return super().__call__(folder, samples, settings)

        def convert(self, model, file_format, calibration, pixels):
            if self._is_before and file_format in self._names:
                raise PocketFlowError('crashed')
            return convert(model, file_format, calibration, pixels)

    one = Exporter(make_helper(), ExportOptions(**QUICK), tmp_path, FailingBefore('float32'))
    result = one.export(candidate(tmp_path / 'baseline'), candidate(tmp_path), ['float32', 'dynamic'], 'float32')
    assert [item['format'] for item in result['exports']] == ['float32', 'dynamic']
    assert result['baseline']['file'] == 'baseline/model_dynamic.tflite' and 'failed_exports' not in result


def test_any_error_costs_one_format_only(tmp_path, monkeypatch):
    def export_files(source, names, folder):
        if names[0] in errors:
            raise errors[names[0]]
        return original(source, names, folder)

    original = exporting.export_files
    monkeypatch.setattr(exporting, 'export_files', export_files)
    full = OSError(errno.ENOSPC, 'No space left on device', str(tmp_path / 'model_int8.tflite'))
    errors = {'float16': ValueError('first\nsecond'), 'int8': full}
    one = Exporter(make_helper(), ExportOptions(**QUICK), tmp_path, Failing())
    only = candidate(tmp_path)
    result = one.export(only, only, ['float16', 'float32', 'int8'])
    assert [item['format'] for item in result['exports']] == ['float32']
    assert {entry['format']: entry['reason'] for entry in result['failed_exports']} == {
        'float16': 'ValueError: first',
        'int8': f'{tmp_path}/model_int8.tflite: No space left on device; make room there, and export this format again '
        '(--exec_mode=export)',
    }


def test_without_room_for_the_model_the_one_of_before_stays(tmp_path, monkeypatch):
    def refuse(model, path):
        raise error

    monkeypatch.setattr(exporting, 'save_model', refuse)
    path, error = tmp_path / 'model.keras', OSError(errno.EFBIG, 'File too large')
    with pytest.raises(OSError, match='File too large'):
        exporting.save_or_keep(None, path)
    path.write_bytes(b'before')
    exporting.save_or_keep(None, path)
    assert path.read_bytes() == b'before'
    error = ValueError('no layer')
    with pytest.raises(ValueError, match='no layer'):
        exporting.save_or_keep(None, path)


def test_without_any_file_there_is_no_report(tmp_path):
    one = Exporter(make_helper(), ExportOptions(**QUICK), tmp_path, Failing('float32', 'int8'))
    with pytest.raises(PocketFlowError, match='cannot be exported: float32: float32 crashed; int8: int8 crashed'):
        one.export(candidate(tmp_path / 'baseline'), candidate(tmp_path), ['float32', 'int8'])


def test_formats_are_checked_and_each_taken_once():
    assert ExportOptions(formats='int8, float32,int8').names == ('int8', 'float32')
    with pytest.raises(UsageError, match="'int9'; known: dynamic, float16, float32, int8, mixed, pfz"):
        ExportOptions(formats='float32,int9')


def test_layers_are_written_in_the_form_that_is_asked_for(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Concatenate(name='concat')([inputs] * 5))
    assert exporter(tmp_path)._rewritten(model) == (model, {})
    for_gpus = Exporter(make_helper(), ExportOptions(**QUICK, rewrite_for='gpu'), tmp_path)
    form, rewrites = for_gpus._rewritten(model)
    assert max(len(tf.nest.flatten(layer.input)) for layer in form.layers) == 4
    assert rewrites['target'] == 'gpu' and rewrites['changes'].keys() == {'concat'}


def test_the_report_names_the_rewrites_of_the_compressed_model_alone(tmp_path, monkeypatch):
    before, after = candidate(tmp_path / 'baseline'), candidate(tmp_path)
    before.model._name, after.model._name = 'before', 'after'
    of_both = Exporter(make_helper(), ExportOptions(**QUICK, rewrite_for='gpu'), tmp_path)
    rewritten = []

    def record(model):
        rewritten.append(model)
        return model, {'target': 'gpu', 'changes': {model.name: 'changed'}}

    monkeypatch.setattr(of_both, '_rewritten', record)
    result = of_both.export(before, after, ['float32', 'float16'])
    assert [model is wanted for model, wanted in zip(rewritten, (after.model, before.model), strict=True)] == [True] * 2
    assert result['rewrites'] == {'target': 'gpu', 'changes': {after.model.name: 'changed'}}
